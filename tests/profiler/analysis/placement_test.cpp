// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/analysis/routing/placement.h"

#include <algorithm>
#include <set>

#include <gmock/gmock.h>

#include "engine/base/error.h"
#include "tests/profiler/analysis/vector_fixture.h"

namespace expertscope {
namespace {

using testing::ElementsAre;

const Cluster kCluster{.nodes = 2, .gpus = 4};

TEST(ExpertReplication, MakesThePublishedExample) {
    const std::vector<double> first{90, 132, 40, 61, 104, 165, 39, 4, 73, 56, 183, 86};
    const std::vector<double> second{20, 107, 104, 64, 19, 197, 187, 157, 172, 86, 16, 27};
    const Cluster cluster{.nodes = 2, .gpus = 8};
    EXPECT_THAT(replicateEvenly(first, 16, 4, cluster), ElementsAre(5, 6, 5, 7, 8, 4, 3, 4, 10, 9, 10, 2, 0, 1, 11, 1));
    EXPECT_THAT(replicateEvenly(second, 16, 4, cluster), ElementsAre(7, 10, 6, 8, 6, 11, 8, 9, 2, 4, 5, 1, 5, 0, 3, 1));
}

TEST(ExpertReplication, RefusesWhatDoesNotDivide) {
    const std::vector<double> loads(12, 1.0);
    EXPECT_THROW(replicateEvenly(loads, 16, 5, kCluster), UsageError);
    EXPECT_THROW(replicateEvenly(loads, 18, 4, kCluster), UsageError);
    EXPECT_THROW(replicateEvenly(loads, 8, 4, kCluster), UsageError);
    EXPECT_THROW(replicateEvenly(loads, 12, 4, {.nodes = 3, .gpus = 4}), UsageError);
}

double nearness(const std::vector<PlacementCost>& costs) {
    double sum = 0;
    for (const PlacementCost& cost : costs)
        if (cost.layer.value() > 0) sum += 2 * cost.sameGpu + cost.sameNode;
    return sum;
}

TEST(LocalityPlacement, HoldsEveryExpertOnceAndKeepsMoreNearThanOrderOrChance) {
    const RunRouting routing = vectorRouting();
    const Placement locality = localityPlacement(routing, kCluster);
    for (const auto& slots : locality.slots) {
        EXPECT_EQ(slots.size(), 12U);
        EXPECT_EQ(std::set<std::int32_t>(slots.begin(), slots.end()).size(), 12U);
        EXPECT_EQ(*std::ranges::min_element(slots), 0);
    }
    const double found = nearness(placementCosts(routing, kCluster, locality));
    EXPECT_GT(found, 1.2 * nearness(placementCosts(routing, kCluster, contiguousPlacement(routing, kCluster))));
    for (std::uint64_t seed = 0; seed < 200; ++seed)
        EXPECT_GT(found, nearness(placementCosts(routing, kCluster, randomPlacement(routing, kCluster, seed))));
}

TEST(LocalityPlacement, FindsThePlacementThatNeverHops) {
    // Expert e is always followed by 3 e mod 8: a placement that follows it never leaves its GPU.
    ModelFacts model;
    model.layers = 3;
    model.experts = 8;
    model.topK = 1;
    RunRoutingBuilder builder(model);
    std::vector<SelectionRecord> records;
    for (int token = 0; token < 64; ++token) {
        int expert = token % 8;
        for (int layer = 0; layer < 3; ++layer, expert = expert * 3 % 8) {
            SelectionRecord& record = records.emplace_back();
            record.token = TokenIndex(token);
            record.step = StepIndex(token);
            record.layer = LayerIndex(layer);
            record.expert = ExpertId(expert);
            record.weight = 1;
        }
    }
    builder.add(std::span<const SelectionRecord>(records));
    const RunRouting routing = builder.finish({});
    const auto costs = placementCosts(routing, kCluster, localityPlacement(routing, kCluster));
    EXPECT_NEAR(costs[1].sameGpu, 1, 1e-12);
    EXPECT_NEAR(costs[2].sameGpu, 1, 1e-12);
    EXPECT_NEAR(costs[1].imbalance, 0, 1e-12);
}

TEST(RandomPlacement, StaysOnAGpuAsOftenAsThereAreGpus) {
    const RunRouting routing = vectorRouting();
    double sum = 0;
    for (std::uint64_t seed = 0; seed < 2000; ++seed)
        sum += placementCosts(routing, kCluster, randomPlacement(routing, kCluster, seed))[1].sameGpu;
    EXPECT_NEAR(sum / 2000, 0.25, 0.01);
}

}  // namespace
}  // namespace expertscope
