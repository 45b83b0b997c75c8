// SPDX-License-Identifier: GPL-3.0-or-later
// One pass for every size of an LRU cache, against a list that is searched from its front.
#include "profiler/analysis/routing/hit_curve.h"

#include <algorithm>
#include <list>
#include <numeric>
#include <random>
#include <set>

#include <gtest/gtest.h>

#include "tests/profiler/analysis/trace_fixture.h"

namespace expertscope {
namespace {

TEST(HitCurve, CountsWhatAListCountsForMoreExpertsThanItsGroupsHold) {
    constexpr int kLayers = 20, kExperts = 150, kTokens = 60, kChoices = 8;
    ModelFacts model;
    model.layers = kLayers;
    model.experts = kExperts;
    model.topK = kChoices;
    RunRoutingBuilder builder(model);
    std::mt19937 random(5);
    std::list<int> recent;
    std::vector<std::int64_t> hits(kLayers * kExperts + 1);
    std::int64_t firstUses = 0;
    for (int token = 0; token < kTokens; ++token) {
        for (int layer = 0; layer < kLayers; ++layer) {
            std::set<int> chosen;
            std::vector<SelectionRecord> records;
            while (chosen.size() < kChoices) {
                const int expert = static_cast<int>(std::min(random() % kExperts, random() % kExperts));
                if (!chosen.insert(expert).second) continue;
                records.push_back(selection(token, token, layer, static_cast<int>(chosen.size()) - 1, expert));
            }
            builder.add(std::span<const SelectionRecord>(records));
            // All of a step's are looked up before any is used; the last choice becomes the most recent.
            for (const SelectionRecord& record : records) {
                const auto found = std::ranges::find(recent, layer * kExperts + record.expert.value());
                if (found == recent.end())
                    ++firstUses;
                else
                    ++hits[static_cast<std::size_t>(std::distance(recent.begin(), found)) + 1];
            }
            for (const SelectionRecord& record : records) {
                recent.remove(layer * kExperts + record.expert.value());
                recent.push_front(layer * kExperts + record.expert.value());
            }
        }
    }
    const RunRouting routing = builder.finish({});
    const HitCurve curve = hitCurveOf(routing);
    std::partial_sum(hits.begin(), hits.end(), hits.begin());
    EXPECT_EQ(curve.hits, hits);
    EXPECT_EQ(curve.firstUses, firstUses);
    EXPECT_EQ(curve.lookups, std::int64_t{kTokens} * kLayers * kChoices);
    const HitCurve begun = hitCurveOf(routing, ChoiceOrder::Recorded, 2 * kLayers * kChoices + 1);
    EXPECT_EQ(begun.lookups, 3 * kLayers * kChoices) << "it ends after a step";
}

}  // namespace
}  // namespace expertscope
