// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/replay/layer_settled_cache.h"

#include <map>

#include <gtest/gtest.h>

#include "engine/offload/policy_registry.h"
#include "profiler/replay/lru_curve.h"
#include "tests/profiler/replay/replay_fixture.h"

namespace expertscope {
namespace {

/// LFU with a look at every expert for each victim; `pools`: a cache for each layer.
std::int64_t naiveLfuHits(const MadeUpTrace& made, std::int64_t budget, bool pools) {
    std::map<int, std::pair<int, int>> uses;  // expert → times, last time
    std::set<int> cache;
    std::int64_t hits = 0;
    int clock = 0;
    const auto sizeOf = [&](int flat) {
        return made.sizes[static_cast<std::size_t>(flat / made.experts) % made.sizes.size()];
    };
    for (const NaiveGroup& group : naiveGroups(made)) {
        for (const int expert : group.needed) {
            ++uses[expert].first;
            hits += cache.contains(expert);
        }
        for (const int expert : group.uses)
            uses[expert].second = ++clock;
        cache.insert(group.needed.begin(), group.needed.end());
        const auto inPool = [&](int expert) { return !pools || expert / made.experts == group.layer; };
        for (;;) {
            std::int64_t used = 0;
            int victim = -1;
            for (const int expert : cache) {
                if (!inPool(expert)) continue;
                used += sizeOf(expert);
                if (!group.needed.contains(expert) && (victim < 0 || uses[expert] < uses[victim])) victim = expert;
            }
            if (used <= (pools ? budget / made.layers : budget) || victim < 0) break;
            cache.erase(victim);
        }
    }
    return hits;
}

TEST(LayerSettledCache, HitsWhatLruHits) {
    for (unsigned seed = 1; seed <= 3; ++seed) {
        const RoutingTrace trace = MadeUpTrace{.layers = 4, .sizes = {100, 70}, .seed = seed}.build();
        const LruCurve curve(trace);
        for (std::int64_t budget = 100; budget < 3000; budget += 170) {
            const auto rule = makeEviction("lru");
            const CacheCounts counts = replayLayerSettled(trace, *rule, budget);
            EXPECT_EQ(counts.hits, curve.at(budget).hits) << budget;
            EXPECT_EQ(counts.decodeHits, curve.at(budget).decodeHits);
            EXPECT_EQ(counts.movedBytes, curve.accessBytes() - curve.at(budget).hitBytes);
        }
    }
}

TEST(LayerSettledCache, HitsWhatLfuHitsInOnePoolAndInOneForEachLayer) {
    for (unsigned seed = 1; seed <= 3; ++seed) {
        const MadeUpTrace made{.layers = 3, .sizes = {100, 70, 90}, .seed = seed};
        const RoutingTrace trace = made.build();
        for (std::int64_t budget = 300; budget < 2200; budget += 230) {
            const auto global = makeEviction("lfu"), perLayer = makeEviction("lfu:scope=layer");
            EXPECT_EQ(replayLayerSettled(trace, *global, budget).hits, naiveLfuHits(made, budget, false)) << budget;
            EXPECT_EQ(replayLayerSettled(trace, *perLayer, budget).hits, naiveLfuHits(made, budget, true)) << budget;
        }
    }
}

TEST(LayerSettledCache, MissesOnlyFirstUsesWhereEverythingFits) {
    const RoutingTrace trace = MadeUpTrace{.seed = 2}.build();
    const LruCurve curve(trace);
    for (const EvictionInfo& info : evictionCatalogue()) {
        if (info.replayOnly) continue;
        const auto rule = makeEviction(info.name);
        const CacheCounts counts = replayLayerSettled(trace, *rule, trace.model().totalExpertBytes.count());
        EXPECT_EQ(counts.accesses - counts.hits, curve.compulsory()) << info.name;
    }
}

}  // namespace
}  // namespace expertscope
