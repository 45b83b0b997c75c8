// SPDX-License-Identifier: GPL-3.0-or-later
// What of a replay is predicted and what is certain, on runs of the bundled model.
#include <cmath>

#include "tests/profiler/replay/live_fixture.h"

namespace expertscope {
namespace {

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

TEST_F(LiveReplay, PolicyThatRoutesByItsPredictionsIsNeverWrongOverAnotherPolicysRun) {
    const ReplayBench bench(record({.policy = "on-demand", .share = 0.25, .promptTokens = {9, 30}, .tokens = 24}));
    std::int64_t ofFirstLayer = 0;
    for (std::size_t group = 0; group < bench.trace().groups().size(); ++group)
        if (bench.trace().groups()[group].layer == LayerIndex(0))
            ofFirstLayer += static_cast<std::int64_t>(bench.trace().accesses(group).size());
    const auto replayed = [&](const char* policy) {
        return bench.replay({.policy = policy, .budget = bench.entry().description.budget, .link = {}}, Settle::Admit);
    };
    for (const char* policy : {"pre-gated", "route-ahead"}) {
        const ReplayResult result = replayed(policy);
        EXPECT_EQ(result.wastedBytes, 0) << policy;
        EXPECT_LE(result.misses, ofFirstLayer) << policy;
        EXPECT_GT(result.prefetchBytes, 0) << policy;
    }
    EXPECT_GT(replayed("mixtral-offloading").wastedBytes, 0) << "which expects by the same gates, and does not route";
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
