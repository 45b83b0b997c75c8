// SPDX-License-Identifier: GPL-3.0-or-later
// The replay of a recorded run under its own policy and budget against the run itself.
#include <filesystem>

#include <gtest/gtest.h>

#include "engine/inference/engine.h"
#include "engine/offload/policy_registry.h"
#include "profiler/capture/recorder.h"
#include "profiler/replay/replay.h"
#include "storage/session_writer.h"
#include "tests/storage/sample_records.h"

namespace expertscope {
namespace {

struct LiveRun {
    std::string policy = "on-demand", eviction = "lru";
    double share = 0.25;
    std::vector<int> promptTokens{9};  ///< one request each
    int tokens = 12;
};

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
        const ReplayBench bench(record(live));
        ASSERT_TRUE(bench.entry().summary.has_value());
        const RunSummary& was = *bench.entry().summary;
        ASSERT_EQ(was.dropped, 0);
        const ReplayResult is = bench.replay(bench.own(), Settle::Admit);
        const std::string what = live.policy + " " + live.eviction + " " + std::to_string(live.share);
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

TEST_F(LiveReplay, ReproducesEveryPolicyExactly) {
    int replayed = 0;
    for (const PolicyInfo& policy : policyCatalogue()) {
        if (!policy.prepared.empty() || policy.needsCosts) continue;  // what they need is not in a bare run
        for (const double share : {0.04, 0.25}) {
            expectReplayed({.policy = policy.name, .share = share});
            ++replayed;
        }
    }
    EXPECT_GE(replayed, 8);
}

TEST_F(LiveReplay, ReproducesEveryEvictionRuleExactly) {
    for (const EvictionInfo& rule : evictionCatalogue()) {
        if (rule.replayOnly) continue;
        expectReplayed({.eviction = rule.name, .share = 0.12});
        expectReplayed({.policy = "prefetch-all", .eviction = rule.name + ":scope=layer", .share = 0.3});
    }
}

TEST_F(LiveReplay, HoldsOverSeveralRequestsAndPromptsOfOneToken) {
    expectReplayed({.policy = "pre-gated", .share = 0.1, .promptTokens = {1, 40, 7}, .tokens = 6});
    expectReplayed({.eviction = "lfu", .share = 0.02, .promptTokens = {1, 40, 7}, .tokens = 1});
}

TEST_F(LiveReplay, NamesThePredictionsThatARunLacks) {
    RecordedRun run = record({.policy = "resident"});
    RoutingTraceBuilder bare(run.entry.description.model, {});
    const SessionReader reader(folder / "s.esdb");
    ReadCursor cursor;
    for (RecordBatch batch = reader.readNew(run.entry.id, cursor); !batch.empty();
         batch = reader.readNew(run.entry.id, cursor))
        bare.add(std::span<const SelectionRecord>(batch.selections));
    const ReplayCase preGated{
        .policy = "pre-gated", .budget = Bytes(run.entry.description.budget.count() / 4), .link = {}};
    run.times.reset();
    const ReplayBench whole(RecordedRun{run.entry, run.trace, {}});
    EXPECT_TRUE(whole.replay(preGated, Settle::Admit).missing.empty());
    EXPECT_GT(whole.replay(preGated, Settle::Admit).prefetchBytes, 0);
    const ReplayBench lacking(RecordedRun{run.entry, bare.finish(), {}});
    const ReplayResult result = lacking.replay(preGated, Settle::Admit);
    EXPECT_EQ(result.missing, std::vector<std::string>{"predictions of the pre-gates"});
    EXPECT_TRUE(std::isnan(result.decodeTokensPerSecond)) << "there are no times";
}

TEST_F(LiveReplay, MovesNoLessThanTheBound) {
    const ReplayBench bench(record({.share = 0.3, .promptTokens = {9, 12}, .tokens = 24}));
    const Bytes all = bench.trace().model().totalExpertBytes;
    for (const double share : {0.05, 0.1, 0.3, 0.6}) {
        const Bytes budget(static_cast<std::int64_t>(share * static_cast<double>(all.count())));
        const ReplayBound bound = bench.bound(budget, std::nullopt, Settle::Admit);
        const std::int64_t forced =
            bench.replay({.eviction = "belady", .budget = budget, .link = {}}, Settle::Admit).misses;
        for (const char* policy : {"on-demand", "prefetch-all", "pre-gated"}) {
            for (const char* rule : {"lru", "lfu", "belady"}) {
                const ReplayResult result =
                    bench.replay({.policy = policy, .eviction = rule, .budget = budget, .link = {}}, Settle::Admit);
                EXPECT_GE(result.demandBytes + result.prefetchBytes, bound.leastBytes) << policy << " " << rule;
                if (std::string(policy) != "on-demand") continue;
                EXPECT_GE(result.misses, forced) << rule << " at " << share;
            }
        }
    }
}

}  // namespace
}  // namespace expertscope
