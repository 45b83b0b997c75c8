// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/replay/belady.h"

#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/offload/policy_registry.h"
#include "profiler/replay/layer_settled_cache.h"
#include "profiler/replay/lru_curve.h"
#include "tests/profiler/replay/replay_fixture.h"

namespace expertscope {
namespace {

/// The least that must be moved, found by trying every content that the cache may have after every step.
std::int64_t leastByTrying(const MadeUpTrace& made, std::int64_t budget, bool forced) {
    const auto sizeOf = [&](int flat) {
        return made.sizes[static_cast<std::size_t>(flat / made.experts) % made.sizes.size()];
    };
    std::map<std::set<int>, std::int64_t> contents{{{}, 0}};
    for (const NaiveGroup& group : naiveGroups(made)) {
        std::map<std::set<int>, std::int64_t> after;
        for (const auto& [content, moved] : contents) {
            std::int64_t cost = moved;
            std::set<int> there = content;
            for (const int expert : group.needed)
                if (there.insert(expert).second) cost += sizeOf(expert);
            const std::vector<int> members(there.begin(), there.end());
            for (unsigned bits = 0; bits < 1U << members.size(); ++bits) {
                std::set<int> kept;
                std::int64_t bytes = 0;
                for (std::size_t i = 0; i < members.size(); ++i) {
                    if ((bits >> i & 1U) == 0) continue;
                    kept.insert(members[i]);
                    bytes += sizeOf(members[i]);
                }
                const bool whole = std::ranges::includes(kept, group.needed);
                const bool fits = bytes <= budget || (forced && kept == group.needed);
                if (!fits || (forced && !whole)) continue;
                const auto [at, fresh] = after.try_emplace(kept, cost);
                at->second = std::min(at->second, cost);
            }
        }
        contents = std::move(after);
    }
    std::int64_t least = std::numeric_limits<std::int64_t>::max();
    for (const auto& [content, moved] : contents)
        least = std::min(least, moved);
    return least;
}

MadeUpTrace small(unsigned seed) {
    return {.layers = 2,
            .experts = 4,
            .topK = 1,
            .requests = 1,
            .promptTokens = 2,
            .decoded = 10,
            .skew = 0.7,
            .seed = seed};
}

TEST(Belady, IsTheBestOfAllWaysForExpertsOfOneSize) {
    for (unsigned seed = 1; seed <= 8; ++seed) {
        const MadeUpTrace made = small(seed);
        const RoutingTrace trace = made.build();
        const NextUses next(trace);
        for (std::int64_t budget = 100; budget <= 800; budget += 100) {
            EXPECT_EQ(replayBelady(trace, next, budget, Admission::Forced).movedBytes,
                      leastByTrying(made, budget, true))
                << "seed " << seed << " budget " << budget;
            const std::int64_t least = leastByTrying(made, budget, false);
            EXPECT_EQ(replayBelady(trace, next, budget, Admission::Bypass).movedBytes, least);
            EXPECT_EQ(leastBytes(trace, next, budget, false), least);
        }
    }
}

TEST(LeastBytes, IsBelowEveryWayForExpertsOfDifferentSizes) {
    for (unsigned seed = 1; seed <= 8; ++seed) {
        MadeUpTrace made = small(seed);
        made.sizes = {100, 60};
        const RoutingTrace trace = made.build();
        const NextUses next(trace);
        for (std::int64_t budget = 100; budget <= 700; budget += 50) {
            const std::int64_t bound = leastBytes(trace, next, budget, false),
                               best = leastByTrying(made, budget, false);
            EXPECT_LE(bound, best) << "seed " << seed << " budget " << budget;
            EXPECT_GE(bound * 10, best * 7) << "a bound that says nothing";
        }
    }
}

TEST(LeastBytes, OfDecodingCountsNothingForPrompts) {
    const MadeUpTrace made{.layers = 3, .experts = 16, .seed = 4};
    const RoutingTrace trace = made.build();
    const NextUses next(trace);
    for (std::int64_t budget = 200; budget <= 4800; budget += 200)
        EXPECT_LE(leastBytes(trace, next, budget, true), leastBytes(trace, next, budget, false));
    EXPECT_EQ(leastBytes(trace, next, 4800, true), 0) << "a prompt may leave everything behind";
    EXPECT_GT(leastBytes(trace, next, 600, true), 0);
}

TEST(Belady, NeverMissesMoreThanAnyRule) {
    for (unsigned seed = 1; seed <= 4; ++seed) {
        const RoutingTrace trace = MadeUpTrace{.layers = 4, .experts = 12, .seed = seed}.build();
        const NextUses next(trace);
        const LruCurve lru(trace);
        std::int64_t before = 0;
        for (std::int64_t budget = 200; budget <= 4800; budget += 200) {
            const CacheCounts forced = replayBelady(trace, next, budget, Admission::Forced);
            const CacheCounts bypass = replayBelady(trace, next, budget, Admission::Bypass);
            EXPECT_GE(bypass.hits, forced.hits);
            EXPECT_GE(forced.hits, before) << "a larger cache hits no less";
            before = forced.hits;
            EXPECT_GE(forced.hits, lru.at(budget).hits);
            for (const EvictionInfo& info : evictionCatalogue()) {
                if (info.replayOnly) continue;
                const auto rule = makeEviction(info.name);
                EXPECT_GE(forced.hits, replayLayerSettled(trace, *rule, budget).hits) << info.name << " at " << budget;
            }
        }
        EXPECT_EQ(before, lru.accesses() - lru.compulsory()) << "everything fits";
    }
}

TEST(Belady, KeepsAllButOneOfACycleOfOneMoreThanFits) {
    const RoutingTrace trace = cycle(9, 900);
    const CacheCounts counts = replayBelady(trace, NextUses(trace), 80, Admission::Forced);
    EXPECT_GT(counts.hits, 900 * 7 / 8 - 9);
}

TEST(FurthestSet, IsASet) {
    FurthestSet set(5000);
    std::set<std::size_t> plain;
    std::mt19937 random(5);
    for (int i = 0; i < 20'000; ++i) {
        const std::size_t value = random() % 5000, probe = random() % 5000;
        random() % 2 ? (set.insert(value), plain.insert(value).second) : (set.erase(value), plain.erase(value) > 0);
        const auto last = plain.empty() ? -1 : static_cast<std::int64_t>(*plain.rbegin());
        ASSERT_EQ(set.largest(), last);
        const auto below = plain.lower_bound(probe);
        ASSERT_EQ(set.largestBelow(probe), below == plain.begin() ? -1 : static_cast<std::int64_t>(*std::prev(below)));
    }
}

}  // namespace
}  // namespace expertscope
