// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <filesystem>
#include <memory>

#include <gtest/gtest.h>

#include "engine/inference/engine.h"
#include "engine/offload/policy_registry.h"
#include "engine/offload/prepared_data.h"
#include "profiler/capture/recorder.h"
#include "profiler/replay/replay.h"
#include "storage/session_writer.h"
#include "tests/storage/sample_records.h"

namespace expertscope {

/// One run of the bundled model.
struct LiveRun {
    std::string policy = "on-demand", eviction = "lru";
    double share = 0.25;
    std::vector<int> promptTokens{9};  ///< one request each
    int tokens = 12;
    std::shared_ptr<const PreparedData> prepared{};
    OffloadCosts costs{};  ///< unknown: measured where the policy asks
};

/// The replay of a recorded run under its own policy and budget against the run itself.
class LiveReplay : public testing::Test {
protected:
    /// Runs the bundled model and gives what the session then holds of it.
    RecordedRun record(const LiveRun& live) {
        EngineOptions options;
        options.policy = live.policy;
        options.eviction = live.eviction;
        options.budget = {.share = live.share, .bytes = {}};
        options.threads = 2;
        options.io = IoMode::Buffered;
        options.prepared = live.prepared;
        options.costs = live.costs;
        SessionWriter writer(folder / "s.esdb");
        class Relay final : public Observer {
        public:
            Recorder* to = nullptr;
            void onLane(const LaneInfo& r) override { to->onLane(r); }
            void onSpan(const SpanRecord& r) override { to->onSpan(r); }
            void onSelections(std::span<const SelectionRecord> r) override { to->onSelections(r); }
            void onResidency(const ResidencyRecord& r) override { to->onResidency(r); }
            void onTransfer(const TransferRecord& r) override { to->onTransfer(r); }
            void onPredictions(std::span<const PredictionRecord> r) override { to->onPredictions(r); }
            void onToken(const TokenRecord& r) override { to->onToken(r); }
            void onRequest(const RequestRecord& r) override { to->onRequest(r); }
            void onCaughtUp() override { to->onCaughtUp(); }
        } relay;
        RunId run;
        {
            Engine engine(checkpoint, nullptr, options, relay);
            RunDescription description = engine.describe();
            description.policy = live.policy;
            description.eviction = live.eviction;
            Recorder recorder(writer, description);
            relay.to = &recorder;
            run = recorder.run();
            engine.start();
            int id = 3;
            for (const int prompt : live.promptTokens) {
                GenerationRequest request;
                for (int i = 0; i < prompt; ++i)
                    request.promptIds.push_back(id = (id * 31 + 17) % 250);
                request.tokens = live.tokens;
                engine.generate(request);
            }
            RunSummary summary = engine.finish();
            recorder.finish(summary, RunState::Complete);
        }
        writer.close();
        const SessionReader reader(folder / "s.esdb");
        return readRecordedRun(reader, run);
    }

    /// Replays the run under its own policy and compares every count that does not depend on the clock.
    void expectReplayed(const LiveRun& live) {
        ReplayBench bench(record(live));
        if (live.prepared) bench.setPrepared(*live.prepared);
        ASSERT_TRUE(bench.entry().summary.has_value());
        const RunSummary& was = *bench.entry().summary;
        ASSERT_EQ(was.dropped, 0);
        ASSERT_GT(was.accesses, 0);
        const ReplayResult is = bench.replay(bench.own(), Settle::Admit);
        const std::string what =
            live.policy + " " + live.eviction + " " + std::to_string(live.share) + (live.prepared ? " prepared" : "");
        EXPECT_EQ(is.missing, std::vector<std::string>{}) << what;
        EXPECT_EQ(is.accesses, was.accesses) << what;
        EXPECT_EQ(is.misses, was.misses) << what;
        EXPECT_EQ(is.hits + is.hitsInFlight, was.hits + was.hitsInFlight) << what;
        EXPECT_EQ(is.demandBytes, was.demand.count()) << what;
        EXPECT_EQ(is.prefetchBytes, was.prefetch.count()) << what;
        if (live.tokens > 1) { EXPECT_GT(is.decodeTokensPerSecond, 0) << what; }
    }

    TemporaryFolder folder;
    Checkpoint checkpoint = Checkpoint::open(std::filesystem::path(EXPERTSCOPE_RESOURCES) / "demo_model");
};

}  // namespace expertscope
