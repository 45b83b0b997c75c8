// SPDX-License-Identifier: GPL-3.0-or-later
// Mixtral Offloading, route-ahead, pre-gated, Brainstorm, FineMoE, MoE-Infinity, AdapMoE: what each brings, keeps and
// gives back.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/base/error.h"
#include "engine/offload/adapmoe_tables.h"
#include "engine/offload/layer_shares.h"
#include "engine/offload/prepared_data.h"
#include "tests/engine/offload/policy_driver.h"

namespace expertscope {
namespace {

using test::PolicyDriver;
using test::ref;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::IsSupersetOf;

TEST(MixtralOffloading, SpeculatesIntoBuffersThatPushNobodyOut) {
    // 2 layers share 6 − 2 slots: 2 each, and 2 buffers.
    PolicyDriver d("mixtral-offloading", {.layers = 2, .experts = 8, .topK = 2, .slots = 6});
    d.run(1, {6, 7});
    d.predictors.tell(PredictorKind::NextGate, 1, 2, {4, 5});
    d.run(0, {0, 1});
    EXPECT_THAT(d.prefetched, ElementsAre(ref(1, 4), ref(1, 5)));
    EXPECT_THAT(d.victims, IsEmpty());
    d.run(1, {6, 4});  // 4 was rightly expected, 5 was not
    EXPECT_THAT(d.demanded, IsEmpty());
    EXPECT_THAT(d.released, ElementsAre(ref(1, 5), ref(1, 7)));  // unused first, then the least recently used
    EXPECT_TRUE(d.present(1, 6) && d.present(1, 4));
}

TEST(MixtralOffloading, SpeculatesAsManyATokenAsItIsTold) {
    PolicyDriver d("mixtral-offloading:speculate=1", {.layers = 2, .experts = 8, .topK = 2, .slots = 9});
    d.predictors.tell(PredictorKind::NextGate, 1, 2, {4, 5, 4, 3});
    d.run(0, {0, 1, 2, 3});
    EXPECT_THAT(d.wanted(), ElementsAre(ref(1, 4)));
}

TEST(MixtralOffloading, AsPublishedInCodeIsALeastRecentlyUsedCacheOfEveryLayer) {
    PolicyDriver d("mixtral-offloading:mode=code", {.layers = 2, .experts = 8, .topK = 2, .slots = 4});
    d.predictors.tell(PredictorKind::NextGate, 1, 2, {4, 5});
    d.run(0, {0, 1});
    EXPECT_THAT(d.wanted(), IsEmpty());
    d.run(1, {2, 3});
    d.run(0, {0, 5});  // evicts layer 0's own 1, though layer 1's were used later
    EXPECT_THAT(d.victims, ElementsAre(ref(0, 1)));
}

TEST(RouteAhead, BringsWhatTheOwnGateOfALaterLayerChoosesNow) {
    PolicyDriver d("route-ahead:ahead=2", {.layers = 4, .experts = 8, .topK = 2, .slots = 20});
    d.predictors.tell(PredictorKind::NextGate, 1, 2, {1, 1});
    d.predictors.tell(PredictorKind::NextGate, 2, 2, {6, 3, 3, 5});
    d.run(0, {0, 1, 1, 2});
    EXPECT_THAT(d.prefetched, ElementsAre(ref(2, 6), ref(2, 3), ref(2, 5)));
    EXPECT_EQ(d.policy->routing(LayerIndex(1)), RoutingSource{});
    EXPECT_EQ(d.policy->routing(LayerIndex(2)), (RoutingSource{RoutingSource::Kind::EarlyInput, 2}));
    EXPECT_FALSE(policyInfo("route-ahead").exact);
    EXPECT_THROW(makePolicy("route-ahead:ahead=4"), UsageError);
}

TEST(PreGated, RoutesAndBringsAtTheDistanceItIsTold) {
    PolicyDriver d("pre-gated:ahead=3", {.layers = 4, .experts = 8, .topK = 2, .slots = 20});
    d.predictors.tell(PredictorKind::PreGate, 1, 2, {1, 2});
    d.predictors.tell(PredictorKind::PreGate, 3, 2, {6, 3});
    d.run(0, {0, 1});
    EXPECT_THAT(d.prefetched, ElementsAre(ref(3, 6), ref(3, 3)));
    EXPECT_EQ(d.policy->routing(LayerIndex(2)), RoutingSource{});
    EXPECT_EQ(d.policy->routing(LayerIndex(3)), (RoutingSource{RoutingSource::Kind::PreGate, 3}));
}

TEST(Brainstorm, BringsWhatHasBeenHotOneRouterEarlyAndUnloadsAllAfterUse) {
    PolicyDriver d("brainstorm:threshold=2", {.layers = 2, .experts = 4, .topK = 1, .slots = 8});
    for (const int hot : {3, 3, 1, 3}) {
        d.run(0, {0});
        d.run(1, {hot});
    }
    // Layer 1: expert 3 has 3 of 4 loads, three times the mean; expert 1 just the mean.
    d.run(0, {2});
    EXPECT_THAT(d.prefetched, ElementsAre(ref(1, 3)));
    EXPECT_THAT(d.released, IsSupersetOf({ref(0, 2)}));
    d.run(1, {1});
    EXPECT_THAT(d.released, ElementsAre(ref(1, 1), ref(1, 3)));  // used or not
    EXPECT_THAT(d.prefetched, ElementsAre(ref(0, 0)));           // the next step's initial group
}

TEST(Brainstorm, StartsFromAProfileAndMayKeepACache) {
    PreparedData profile("print", "model");
    profile.set("popularity", {2, 4}, {1, 1, 1, 1, 0, 30, 10, 0});
    PolicyDriver d("brainstorm:cache=yes", {.layers = 2, .experts = 4, .topK = 1, .slots = 8}, &profile);
    d.run(0, {0});
    EXPECT_THAT(d.prefetched, ElementsAre(ref(1, 1)));  // 3 times the mean; expert 2 is the mean itself
    EXPECT_THAT(d.released, IsEmpty());
}

/// Two kinds of steps over four layers: the experts of the second kind are the next ones.
void runKind(PolicyDriver& d, int kind, int layers = 4) {
    for (int layer = 0; layer < layers; ++layer) {
        d.predictors.tell(PredictorKind::OwnGate, layer, 2, {kind, kind + 2}, {.9F, .1F});
        d.run(layer, {kind});
    }
}

TEST(FineMoe, BringsWhatALikeStepUsedSomeLayersAhead) {
    PolicyDriver d("finemoe:distance=2", {.layers = 4, .experts = 4, .topK = 1, .slots = 16});
    d.planner.beginRequest();
    runKind(d, 0);
    d.planner.beginRequest();
    runKind(d, 1);
    d.planner.beginRequest();
    d.predictors.tell(PredictorKind::OwnGate, 0, 2, {1, 3}, {.9F, .1F});
    d.run(0, {1});
    EXPECT_THAT(d.wanted(), ElementsAre(ref(2, 1)));  // the map is matched whole: δ = 0, one is enough
    d.predictors.tell(PredictorKind::OwnGate, 1, 2, {1, 3}, {.9F, .1F});
    d.run(1, {1});
    EXPECT_THAT(d.wanted(), ElementsAre(ref(2, 1), ref(3, 1)));  // the nearer layer first: p / (l − l_now)
}

TEST(FineMoe, ServesTheFirstLayersOfAStepByWhatFollowedALikeStep) {
    PolicyDriver d("finemoe:distance=1", {.layers = 2, .experts = 4, .topK = 1, .slots = 8});
    d.planner.beginRequest();
    runKind(d, 0, 2);
    runKind(d, 1, 2);  // follows kind 0
    d.planner.beginRequest();
    runKind(d, 0, 2);
    EXPECT_THAT(d.wanted(), ElementsAre(ref(0, 1)));
    d.planner.beginRequest();
    d.predictors.tell(PredictorKind::OwnGate, 0, 2, {0, 2}, {.9F, .1F});
    d.run(0, {0});
    EXPECT_THAT(d.wanted(), ElementsAre(ref(1, 0)));
}

TEST(FineMoe, EvictsTheLowestProbabilityTimesVisits) {
    PolicyDriver d("finemoe:distance=1", {.layers = 1, .experts = 4, .topK = 2, .slots = 3});
    const auto run = [&](int a, int b, std::vector<float> row) {
        d.predictors.tell(PredictorKind::OwnGate, 0, 4, {0, 1, 2, 3}, std::move(row));
        d.run(0, {a, b});
    };
    d.planner.beginRequest();
    run(0, 1, {.5F, .3F, .15F, .05F});
    run(0, 2, {.5F, .3F, .15F, .05F});
    // The stored maps say .5 .3 .15 .05; visits, those that brought them included: 0: 2, 1: 1, 2: 1.
    EXPECT_THAT(d.victims, IsEmpty());
    EXPECT_EQ(d.planner.residency().score(ref(0, 0)), 1.0);
    EXPECT_NEAR(d.planner.residency().score(ref(0, 1)), .3, 1e-6);
    EXPECT_NEAR(d.planner.residency().score(ref(0, 2)), .15, 1e-6);
    run(0, 3, {.5F, .3F, .15F, .05F});
    EXPECT_THAT(d.victims, ElementsAre(ref(0, 2)));
}

PreparedData collected(std::vector<float> matrix, int layers, int experts) {
    PreparedData data("print", "model");
    data.set("eamc", {1, layers, experts}, std::move(matrix));
    return data;
}

TEST(MoeInfinity, WantsWhatTheNearestRequestUsedLaterByShareAndNearness) {
    // Rows of one past request over 4 layers of 4 experts.
    const PreparedData data = collected({8, 0, 0, 0,  //
                                         6, 2, 0, 0,  //
                                         0, 0, 8, 0,  //
                                         1, 1, 1, 5},
                                        4, 4);
    PolicyDriver d("moe-infinity", {.layers = 4, .experts = 4, .topK = 1, .slots = 16}, &data);
    d.run(0, {0});
    // Share × (1 − distance / 4): layer 1 .75 · .75 and .25 · .75, layer 2 1 · .5, layer 3 .625 · .25 and .125 · .25.
    EXPECT_THAT(d.wanted(), ElementsAre(ref(1, 0), ref(2, 2), ref(1, 1), ref(3, 3), ref(3, 0), ref(3, 1), ref(3, 2)));
    EXPECT_FLOAT_EQ(d.planner.wanted()[0].score, .5625F);
    EXPECT_FLOAT_EQ(d.planner.wanted()[3].score, .15625F);
    PolicyDriver near("moe-infinity:ahead=1", {.layers = 4, .experts = 4, .topK = 1, .slots = 16}, &data);
    near.run(0, {0});
    EXPECT_THAT(near.wanted(), ElementsAre(ref(1, 0), ref(1, 1)));
}

TEST(MoeInfinity, EvictsByAlgorithmOne) {
    // The worked example: p is .25 for (0,1), .3125 for (2,3), .25 for (3,0) and .0625 for (2,0), which leaves.
    const PreparedData data = collected({6, 2, 0, 0,  //
                                         0, 4, 4, 0,  //
                                         1, 1, 1, 5,  //
                                         8, 0, 0, 0},
                                        4, 4);
    PolicyDriver d("moe-infinity:ahead=1", {.layers = 4, .experts = 4, .topK = 1, .slots = 4}, &data, "lfu");
    const auto score = [&](int layer, int expert) { return d.planner.residency().score(ref(layer, expert)); };
    d.run(0, {0});
    EXPECT_NEAR(score(0, 1), .25, 1e-5);
    EXPECT_NEAR(score(2, 3), .3125, 1e-5);
    EXPECT_NEAR(score(3, 0), .25, 1e-5);
    EXPECT_NEAR(score(2, 0), .0625, 1e-5);
}

TEST(MoeInfinity, AsPublishedInCodePredictsNothingAndEvictsTheLeastVisited) {
    PolicyDriver d("moe-infinity:preset=code", {.layers = 1, .experts = 8, .topK = 1, .slots = 2});
    d.run(0, {0, 0, 0}, {}, Phase::Prefill);
    d.run(0, {0}, {}, Phase::Prefill);
    d.run(0, {1}, {}, Phase::Decode);  // what was counted in the prompt is forgotten
    d.run(0, {1});
    d.run(0, {0});
    d.run(0, {2});
    EXPECT_THAT(d.wanted(), IsEmpty());
    EXPECT_THAT(d.victims, ElementsAre(ref(0, 0)));  // visited once since, expert 1 twice
    d.run(0, {0});
    EXPECT_THAT(d.victims, ElementsAre(ref(0, 2)));  // the count of 0 outlived its eviction: 2 against 1, 1 has 2
}

TEST(LayerShares, AreThePublishedFormulaForTwoExpertsAToken) {
    const LayerDemand demand{.runs = {.3, .7}, .accuracy = .9};
    EXPECT_NEAR(expectedLoads(demand, 8, 4), .220, 5e-4);
    for (int k = 0; k <= 8; ++k) {
        const double both = (8.0 - k) * (7.0 - k) / 56, one = 2 * (8.0 - k) * k / 56;
        const double published = .3 * (1 - k / 8.0) * .1 + .7 * (2 * both * .1 + both * .9 + one * .1);
        EXPECT_NEAR(expectedLoads(demand, 8, k), published, 1e-12) << k;
    }
}

TEST(LayerShares, AreTheBestOfAllDivisions) {
    const std::vector<LayerDemand> layers{
        {.runs = {0, 1}, .accuracy = 0}, {.runs = {.8, .2}, .accuracy = .6}, {.runs = {.1, .9}, .accuracy = .95}};
    for (const int slots : {3, 4, 7, 11, 14, 15, 30}) {
        const auto loadsOf = [&](const std::vector<int>& shares) {
            double sum = 0;
            for (std::size_t i = 0; i < 3; ++i)
                sum += expectedLoads(layers[i], 5, shares[i]);
            return sum;
        };
        double least = 1e9;
        for (int a = 1; a <= 5; ++a)
            for (int b = 1; b <= 5; ++b)
                for (int c = 1; c <= 5; ++c)
                    if (a + b + c == std::min(slots, 15)) least = std::min(least, loadsOf({a, b, c}));
        const auto shares = sharesByDemand(layers, 5, slots);
        ASSERT_EQ(shares.size(), 3U);
        EXPECT_EQ(shares[0] + shares[1] + shares[2], std::min(slots, 15));
        EXPECT_NEAR(loadsOf(shares), least, 1e-7) << slots;
    }
    EXPECT_THAT(sharesByDemand(layers, 5, 2), IsEmpty());
}

/// Two layers of 8 experts, two a token: layer 0 is insensitive (drops below .4), layer 1 is not.
PreparedData sensitivities() {
    PreparedData data("print", "model");
    data.set(kSensitivityTable, {2}, {.005F / .16F, 1e9F});
    std::vector<float> weights(2 * 2 * kWeightBins);
    const auto at = [&](int layer, int slot, float share) -> float& {
        return weights[static_cast<std::size_t>((layer * 2 + slot) * kWeightBins + weightBin(share))];
    };
    for (int layer = 0; layer < 2; ++layer) {
        at(layer, 0, .7F) = 6;
        at(layer, 1, .3F) = 6;  // run the first alone in layer 0
        at(layer, 0, .55F) = 4;
        at(layer, 1, .45F) = 4;
    }
    data.set(kSlotWeightTable, {2, 2, kWeightBins}, weights);
    data.set(kRecallSumTable, {2}, {0, 9});
    data.set(kRecallCountTable, {2}, {0, 10});
    return data;
}

TEST(AdapMoe, DropsTheSecondWhereItsWeightIsBelowWhatTheLayerFeels) {
    const PreparedData data = sensitivities();
    PolicyDriver d("adapmoe", {.layers = 2, .experts = 8, .topK = 2, .slots = 9}, &data);
    std::vector<ExpertId> experts{ExpertId(5), ExpertId(1), ExpertId(2), ExpertId(6)};
    std::vector<float> weights{.65F, .35F, .55F, .45F};
    std::vector<SelectionAction> actions(4, SelectionAction::Run);
    RoutedChoice choice{.layer = LayerIndex(0),
                        .phase = Phase::Prefill,
                        .tokens = 2,
                        .experts = experts,
                        .weights = weights,
                        .actions = actions};
    d.policy->revise(choice, d.planner.view());
    EXPECT_EQ(experts[1], ExpertId(1)) << "prompts are run whole";
    choice.phase = Phase::Decode;
    choice.layer = LayerIndex(1);
    d.policy->revise(choice, d.planner.view());
    EXPECT_EQ(experts[1], ExpertId(1)) << "a sensitive layer";
    choice.layer = LayerIndex(0);
    d.policy->revise(choice, d.planner.view());
    EXPECT_THAT(experts, ElementsAre(ExpertId(5), ExpertId(-1), ExpertId(2), ExpertId(6)));
    EXPECT_THAT(actions, ElementsAre(SelectionAction::Run, SelectionAction::Dropped, SelectionAction::Run,
                                     SelectionAction::Run));
    EXPECT_THAT(weights, ElementsAre(testing::FloatEq(1), 0, .55F, .45F));
}

TEST(AdapMoe, DividesTheCacheByExpectedLoads) {
    const PreparedData data = sensitivities();
    PolicyDriver d("adapmoe", {.layers = 2, .experts = 8, .topK = 2, .slots = 9}, &data);
    const std::vector<LayerDemand> expected{{.runs = {.6, .4}, .accuracy = 0}, {.runs = {0, 1}, .accuracy = .9}};
    const auto shares = d.policy->domain().share;
    EXPECT_EQ(shares, sharesByDemand(expected, 8, 8));  // one slot is the prefetch's
    EXPECT_GT(shares[0], shares[1]);                    // nothing foretells layer 0
    PolicyDriver cold("adapmoe", {.layers = 2, .experts = 8, .topK = 2, .slots = 9});
    EXPECT_THAT(cold.policy->domain().share, ElementsAre(4, 4));
}

TEST(AdapMoe, BringsTheFirstAbsentExpertThatTheNextGateExpects) {
    PolicyDriver d("adapmoe", {.layers = 2, .experts = 8, .topK = 2, .slots = 9});
    d.run(1, {6, 7});
    d.predictors.tell(PredictorKind::NextGate, 1, 2, {6, 4});
    d.run(0, {0, 1});
    EXPECT_THAT(d.prefetched, ElementsAre(ref(1, 4)));
    d.predictors.tell(PredictorKind::NextGate, 1, 2, {6, 7});
    d.run(0, {0, 1});
    EXPECT_THAT(d.wanted(), IsEmpty());
}

}  // namespace
}  // namespace expertscope
