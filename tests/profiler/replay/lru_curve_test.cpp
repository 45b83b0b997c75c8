// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/replay/lru_curve.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/profiler/replay/replay_fixture.h"

namespace expertscope {
namespace {

struct NaiveCounts {
    std::int64_t hits = 0, decodeHits = 0, missBytes = 0;
};

/// A list of experts, the least recently used first, searched and cut by hand.
NaiveCounts naiveLru(const MadeUpTrace& made, std::int64_t budget) {
    NaiveCounts counts;
    std::vector<int> cache;
    const auto sizeOf = [&](int flat) {
        return made.sizes[static_cast<std::size_t>(flat / made.experts) % made.sizes.size()];
    };
    for (const NaiveGroup& group : naiveGroups(made)) {
        for (const int expert : group.needed) {
            const bool there = std::ranges::find(cache, expert) != cache.end();
            counts.hits += there;
            counts.decodeHits += there && group.decode;
            counts.missBytes += there ? 0 : sizeOf(expert);
        }
        for (const int expert : group.uses) {
            std::erase(cache, expert);
            cache.push_back(expert);
        }
        std::int64_t used = 0;
        for (const int expert : cache)
            used += sizeOf(expert);
        for (std::size_t i = 0; used > budget && i < cache.size();) {
            if (group.needed.contains(cache[i])) {
                ++i;
                continue;
            }
            used -= sizeOf(cache[i]);
            cache.erase(cache.begin() + static_cast<std::ptrdiff_t>(i));
        }
    }
    return counts;
}

void expectCurveOfNaive(const MadeUpTrace& made) {
    const RoutingTrace trace = made.build();
    const LruCurve curve(trace);
    const std::int64_t all = trace.model().totalExpertBytes.count();
    for (std::int64_t budget = 0; budget <= all + all / 60; budget += all / 61) {
        const NaiveCounts naive = naiveLru(made, budget);
        const LruCurve::Counts counts = curve.at(budget);
        ASSERT_EQ(counts.hits, naive.hits) << "budget " << budget << " seed " << made.seed;
        ASSERT_EQ(counts.decodeHits, naive.decodeHits) << "budget " << budget;
        ASSERT_EQ(curve.accessBytes() - counts.hitBytes, naive.missBytes) << "budget " << budget;
    }
}

TEST(LruCurve, IsWhatACacheOfEveryBudgetHits) {
    for (unsigned seed = 1; seed <= 6; ++seed)
        expectCurveOfNaive({.seed = seed});
}

TEST(LruCurve, HoldsForExpertsOfDifferentSizes) {
    for (unsigned seed = 1; seed <= 6; ++seed)
        expectCurveOfNaive({.layers = 4, .sizes = {100, 70, 130}, .seed = seed});
}

TEST(LruCurve, HoldsWhereDistancesAreTooManyToCountEach) {
    expectCurveOfNaive({.sizes = {1'000'003, 999'983}, .seed = 3});
}

TEST(LruCurve, KeepsTheStepBeforeWhereOneLayerFollowsItself) {
    for (unsigned seed = 1; seed <= 4; ++seed)
        expectCurveOfNaive({.layers = 1, .experts = 12, .topK = 3, .seed = seed});
}

TEST(LruCurve, SurvivesManyRenumberings) { expectCurveOfNaive({.layers = 2, .experts = 20, .decoded = 400}); }

TEST(LruCurve, HitsNothingOnACycleOfOneMoreThanFits) {
    const LruCurve curve(cycle(9, 900));
    EXPECT_EQ(curve.at(8 * 10).hits, 0);
    EXPECT_EQ(curve.at(9 * 10).hits, 900 - 9);
}

TEST(LruCurve, NeverFallsAsTheBudgetGrowsAndEndsAtFirstUses) {
    const MadeUpTrace made{.layers = 5, .experts = 16, .sizes = {90, 110}, .seed = 8};
    const RoutingTrace trace = made.build();
    const LruCurve curve(trace);
    std::int64_t before = 0;
    for (std::int64_t budget = 0; budget < trace.model().totalExpertBytes.count(); budget += 11) {
        EXPECT_GE(curve.at(budget).hits, before);
        before = curve.at(budget).hits;
    }
    const auto all = curve.at(trace.model().totalExpertBytes.count());
    EXPECT_EQ(curve.accesses() - all.hits, curve.compulsory());
    EXPECT_EQ(curve.accessBytes() - all.hitBytes, curve.compulsoryBytes());
}

TEST(TokenDemand, IsTheCliffBelowWhichDecodingHitsNothing) {
    const MadeUpTrace made{.layers = 4, .experts = 8, .requests = 1, .promptTokens = 1, .decoded = 60};
    const RoutingTrace trace = made.build();
    EXPECT_EQ(tokenDemandBytes(trace), 4 * 2 * 100);
    const LruCurve curve(trace);
    EXPECT_EQ(curve.at((4 - 1) * 2 * 100).hits, 0);
    EXPECT_GT(curve.at(4 * 2 * 100).hits, 0);
}

}  // namespace
}  // namespace expertscope
