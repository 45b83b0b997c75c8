// SPDX-License-Identifier: GPL-3.0-or-later
#include <cmath>

#include <gtest/gtest.h>

#include "profiler/replay/replay.h"
#include "tests/profiler/replay/replay_fixture.h"

namespace expertscope {
namespace {

/// A run of 4 layers × 16 experts; its thread goes on `wake` ns after the bytes that it waited for have arrived.
ReplayBench benchWoken(std::int64_t wake) {
    MadeUpTrace made;
    made.layers = 4;
    made.experts = 16;
    made.decoded = 200;
    made.sizes = {100'000};
    RecordedRun run;
    run.trace = made.build();
    run.entry.description.model = run.trace.model();
    run.entry.description.policy = "mixtral-offloading";
    run.entry.description.eviction = "lru";
    ComputeTimes times;
    times.before.assign(run.trace.groups().size(), 50'000);
    times.after.assign(run.trace.groups().size(), 0);
    times.expert.assign(run.trace.accesses().size(), 10'000.0F);
    times.tail.assign(run.trace.steps().size(), 50'000);
    times.transfer = 300'000;
    times.wake = wake;
    run.times = times;
    return ReplayBench(std::move(run));
}

TEST(OnDemandSpeed, FromTheCurveIsNearThatOfTheReplay) {
    for (const std::int64_t wake : {0, 20'000, 2'500'000}) {
        const ReplayBench bench = benchWoken(wake);
        const Bytes whole = bench.trace().model().totalExpertBytes;
        for (const std::optional<LinkSpec>& link :
             {std::optional<LinkSpec>(), std::optional(parseLink("1GB/s@50us"))}) {
            for (const int percent : {10, 25, 50, 100}) {
                const Bytes budget(whole.count() * percent / 100);
                const double told = bench.onDemandTokensPerSecond(budget, link);
                const double replayed =
                    bench.replay({.budget = budget, .link = link}, Settle::Admit).decodeTokensPerSecond;
                EXPECT_NEAR(told / replayed, 1, 0.15) << wake << " ns, " << percent << " %, link " << link.has_value();
            }
        }
    }
}

TEST(OnDemandSpeed, IsUnknownWithoutTimes) {
    MadeUpTrace made;
    RecordedRun run;
    run.trace = made.build();
    run.entry.description.model = run.trace.model();
    const ReplayBench bench(std::move(run));
    EXPECT_TRUE(std::isnan(bench.onDemandTokensPerSecond(bench.trace().model().totalExpertBytes, {})));
}

}  // namespace
}  // namespace expertscope
