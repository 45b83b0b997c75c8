// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/offload/expert_map_store.h"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace expertscope {
namespace {

using testing::ElementsAre;

std::vector<int> selected(const std::vector<float>& probabilities, float score, int atLeast) {
    std::vector<int> chosen;
    selectExperts(probabilities, score, atLeast, chosen);
    return chosen;
}

void feed(ExpertMapStore& store, const std::vector<std::vector<float>>& map) {
    store.begin();
    for (const auto& row : map)
        store.observe(row);
    store.end();
}

TEST(SelectExperts, TakesTheMostProbableUntilTheirSumExceedsDeltaAndThereAreEnough) {
    const std::vector<float> row{.25F, .2F, .15F, .1F, .1F, .1F, .1F};
    EXPECT_THAT(selected(row, .7F, 2), ElementsAre(0, 1));     // δ = .3: .25 + .2
    EXPECT_THAT(selected(row, .5F, 2), ElementsAre(0, 1, 2));  // δ = .5: .25 + .2 + .15
    EXPECT_THAT(selected(row, 1.0F, 2), ElementsAre(0, 1));    // a perfect match takes only as many as must be
    EXPECT_THAT(selected({.1F, .6F, .3F}, .9F, 1), ElementsAre(1));
    EXPECT_EQ(selected(row, 0.0F, 2).size(), 7U);  // δ = 1 is never exceeded: all
    EXPECT_EQ(selected(row, -3.0F, 2).size(), 7U);
}

TEST(ExpertMapStore, FindsTheMapWhoseLayersSoFarAreTheMostAlike) {
    ExpertMapStore store(3, 2, 10, 1);
    feed(store, {{1, 0}, {1, 0}, {0, 1}});
    feed(store, {{0, 1}, {0, 1}, {1, 0}});
    store.begin();
    EXPECT_EQ(store.byTrajectory().map, -1);
    const std::vector<float> first{.8F, .2F}, second{.1F, .9F};
    store.observe(first);
    EXPECT_EQ(store.byTrajectory().map, 0);
    EXPECT_NEAR(store.byTrajectory().score, .8 / std::sqrt(.68), 1e-6);
    store.observe(second);  // cosines of [.8 .2 .1 .9] with [1 0 1 0] and [0 1 0 1]
    EXPECT_EQ(store.byTrajectory().map, 1);
    EXPECT_NEAR(store.byTrajectory().score, 1.1 / std::sqrt(2 * (.68 + .82)), 1e-6);
}

TEST(ExpertMapStore, FindsTheStepThatFollowedALikeOne) {
    ExpertMapStore store(2, 3, 10, 1);
    feed(store, {{1, 0, 0}, {1, 0, 0}});
    feed(store, {{0, 1, 0}, {0, 0, 1}});  // map 1 followed a step that ended on expert 0
    feed(store, {{0, 0, 1}, {0, 1, 0}});  // map 2 followed one that ended on expert 2
    feed(store, {{1, 0, 0}, {.1F, 0, .9F}});
    EXPECT_EQ(store.byPredecessor().map, 2);
    store.reset();
    EXPECT_EQ(store.byPredecessor().map, -1);
    feed(store, {{1, 0, 0}, {.9F, 0, .1F}});  // the first of a request: nothing came before it
    EXPECT_EQ(store.byPredecessor().map, 1);
}

TEST(ExpertMapStore, GivesTheMostRedundantMapUpWhenFull) {
    ExpertMapStore store(2, 2, 2, 1);
    feed(store, {{1, 0}, {1, 0}});
    feed(store, {{0, 1}, {0, 1}});
    store.reset();
    feed(store, {{.2F, .8F}, {.2F, .8F}});  // like the second
    EXPECT_EQ(store.size(), 2);
    EXPECT_THAT(store.row(0, 0), ElementsAre(1, 0));
    EXPECT_THAT(store.row(1, 1), ElementsAre(.2F, .8F));
}

}  // namespace
}  // namespace expertscope
