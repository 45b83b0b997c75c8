// SPDX-License-Identifier: GPL-3.0-or-later
// The policies that change the output, by hand-computed cases.

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/offload/prepared_data.h"
#include "tests/engine/offload/policy_driver.h"

namespace expertscope {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::FloatNear;
using testing::IsEmpty;
using testing::Pointwise;

constexpr auto kRun = SelectionAction::Run;
constexpr auto kDropped = SelectionAction::Dropped;
constexpr auto kSubstituted = SelectionAction::Substituted;

std::vector<ExpertId> ids(const std::vector<int>& numbers) {
    std::vector<ExpertId> experts;
    for (const int number : numbers)
        experts.emplace_back(number);
    return experts;
}

/// One layer's choice as the policy left it.
struct Revised {
    std::vector<ExpertId> experts;
    std::vector<float> weights;
    std::vector<SelectionAction> actions;
};

Revised revise(test::PolicyDriver& driver, int layer, const std::vector<int>& chosen, std::vector<float> weights,
               const std::vector<float>& probabilities = {}) {
    Revised revised{ids(chosen), std::move(weights), {}};
    revised.actions.assign(chosen.size(), kRun);
    driver.policy->revise({.layer = LayerIndex(layer),
                           .phase = Phase::Decode,
                           .tokens = static_cast<int>(chosen.size()) / driver.context.shape.topK,
                           .experts = revised.experts,
                           .weights = revised.weights,
                           .actions = revised.actions,
                           .probabilities = probabilities},
                          driver.planner.view());
    return revised;
}

constexpr OffloadShape kFour{.layers = 1, .experts = 8, .topK = 4, .slots = 4};

TEST(DropOnMiss, LeavesOutTheLightestAbsentOnesWithinTheMassAndScalesTheRest) {
    test::PolicyDriver driver("drop-on-miss:mass=0.25", kFour);
    driver.run(0, {0, 1, 2, 3});
    const Revised revised = revise(driver, 0, {0, 5, 6, 7}, {0.5F, 0.3F, 0.15F, 0.05F});
    EXPECT_EQ(revised.experts, ids({0, 5, -1, -1}));
    EXPECT_THAT(revised.actions, ElementsAre(kRun, kRun, kDropped, kDropped));
    EXPECT_THAT(revised.weights, Pointwise(FloatNear(1e-6F), {0.625F, 0.375F, 0.0F, 0.0F}));
}

TEST(DropOnMiss, DropsOnlyWhatIsAbsent) {
    test::PolicyDriver driver("drop-on-miss:mass=0.25", kFour);
    driver.run(0, {0, 1, 2, 3});
    const Revised revised = revise(driver, 0, {5, 6, 1, 0}, {0.5F, 0.3F, 0.15F, 0.05F});
    EXPECT_EQ(revised.experts, ids({5, 6, 1, 0}));
    EXPECT_THAT(revised.actions, Each(kRun));
}

TEST(DropOnMiss, OfEqualWeightsDropsTheHigherIdFirst) {
    test::PolicyDriver driver("drop-on-miss:mass=0.15", kFour);
    const Revised revised = revise(driver, 0, {0, 1, 6, 5}, {0.6F, 0.2F, 0.1F, 0.1F});
    EXPECT_EQ(revised.experts, ids({0, 1, -1, 5}));
}

TEST(DropOnMiss, LeavesAFlatTokenAndAnImpossibleOneAlone) {
    test::PolicyDriver driver("drop-on-miss:mass=1", kFour);
    const std::vector<std::vector<float>> tokens{
        {0.3F, 0.25F, 0.25F, 0.2F}, {0.9F, 0.2F, 0.0F, -0.1F}, {0.9F, 0.1F, 0.0F, std::nanf("")}};
    for (const std::vector<float>& weights : tokens)
        EXPECT_THAT(revise(driver, 0, {4, 5, 6, 7}, weights).actions, Each(kRun));
}

TEST(DropOnMiss, KeepsMinKAndTheWeightsWhereAskedTo) {
    test::PolicyDriver driver("drop-on-miss:mass=1:min-k=2:renormalise=off", kFour);
    const Revised revised = revise(driver, 0, {4, 5, 6, 7}, {0.7F, 0.2F, 0.08F, 0.02F});
    EXPECT_EQ(revised.experts, ids({4, 5, -1, -1}));
    EXPECT_THAT(revised.weights, ElementsAre(0.7F, 0.2F, 0.0F, 0.0F));
}

TEST(CachePrior, AddsAShareOfTheMeanRangeToResidentsAndToTheTopOne) {
    test::PolicyDriver driver("cache-prior:lambda=0.5:top-j=1", {.layers = 1, .experts = 4, .topK = 1, .slots = 2});
    driver.run(0, {1});
    std::vector<float> logits{1, 2, 3, 5};  // range 4, so the bonus is 2
    driver.policy->adjustLogits(LayerIndex(0), 1, logits, driver.planner.view());
    EXPECT_THAT(logits, ElementsAre(1, 4, 3, 7));
    logits = {0, 0, 8, 0};  // mean range (4 + 8) ÷ 2, the bonus 3
    driver.policy->adjustLogits(LayerIndex(0), 1, logits, driver.planner.view());
    EXPECT_THAT(logits, ElementsAre(0, 3, 11, 0));
}

TEST(CachePrior, WithoutATopPrefersResidentsOnly) {
    test::PolicyDriver driver("cache-prior:lambda=1:top-j=0", {.layers = 1, .experts = 4, .topK = 1, .slots = 2});
    driver.run(0, {1});
    std::vector<float> logits{1, 2, 3, 5};
    driver.policy->adjustLogits(LayerIndex(0), 1, logits, driver.planner.view());
    EXPECT_THAT(logits, ElementsAre(1, 6, 3, 5));
}

/// Expert 5 was chosen 6 times with 0, 3 times with 1, once with 2.
PreparedData coActivation() {
    PreparedData prepared("f", "m");
    std::vector<float> together(64, 0);
    together[5 * 8 + 0] = 6;
    together[5 * 8 + 1] = 3;
    together[5 * 8 + 2] = 1;
    prepared.set("co_activation", {1, 8, 8}, together);
    return prepared;
}
constexpr OffloadShape kTwo{.layers = 1, .experts = 8, .topK = 2, .slots = 4};
const std::vector<float> kEven(8, 0.125F);

TEST(Buddy, RunsTheResidentThatIsMostOftenChosenBesideTheAbsentOne) {
    const PreparedData prepared = coActivation();
    test::PolicyDriver driver("buddy:percentile=0", kTwo, &prepared);
    driver.run(0, {1, 2});
    const Revised revised = revise(driver, 0, {2, 5}, {0.55F, 0.45F}, kEven);
    EXPECT_EQ(revised.experts, ids({2, 1}));  // 0 is absent too, 2 is chosen already
    EXPECT_THAT(revised.actions, ElementsAre(kRun, kSubstituted));
    EXPECT_THAT(revised.weights, ElementsAre(0.55F, 0.45F));
}

TEST(Buddy, PrefersABuddyThatTheRouterLikes) {
    const PreparedData prepared = coActivation();
    test::PolicyDriver driver("buddy:percentile=0:eta=10", kTwo, &prepared);
    driver.run(0, {1, 0});
    // Ψ of 0: 0.6 · (1 + 10 · 0.1); of 1: 0.3 · (1 + 10 · 1).
    const Revised revised = revise(driver, 0, {3, 5}, {0.5F, 0.5F}, {0.05F, 0.5F, 0, 0, 0, 0.1F, 0, 0});
    EXPECT_EQ(revised.experts[1], ExpertId(1));
}

TEST(Buddy, CutsTheListAtItsCumulativeShare) {
    const PreparedData prepared = coActivation();
    test::PolicyDriver driver("buddy:percentile=0:alpha=0.5", kTwo, &prepared);
    driver.run(0, {1, 2});
    EXPECT_EQ(revise(driver, 0, {3, 5}, {0.5F, 0.5F}, kEven).experts, ids({3, 5}));  // the list is 0 alone
}

TEST(Buddy, LeavesADecidedGateAlone) {
    const PreparedData prepared = coActivation();
    test::PolicyDriver driver("buddy:percentile=15", kTwo, &prepared);
    driver.run(0, {1, 2});
    for (int i = 0; i < 20; ++i)
        revise(driver, 0, {1, 2}, {0.6F, 0.4F}, kEven);
    EXPECT_THAT(revise(driver, 0, {2, 5}, {0.99F, 0.01F}, kEven).actions, Each(kRun));
    EXPECT_EQ(revise(driver, 0, {2, 5}, {0.5F, 0.5F}, kEven).actions[1], kSubstituted);
}

TEST(Buddy, SubstitutesNoMoreThanItMayAndLearnsAsItGoes) {
    test::PolicyDriver driver("buddy:percentile=0:rho=1", kTwo);
    driver.run(0, {1, 2});
    EXPECT_EQ(revise(driver, 0, {6, 7}, {0.5F, 0.5F}, kEven).experts, ids({6, 7}));  // nothing is known of them
    revise(driver, 0, {6, 1}, {0.5F, 0.5F}, kEven);
    revise(driver, 0, {7, 2}, {0.5F, 0.5F}, kEven);
    const Revised revised = revise(driver, 0, {6, 7}, {0.5F, 0.5F}, kEven);
    EXPECT_EQ(revised.experts, ids({6, 2}));
}

TEST(Buddy, FetchesWhereTooMuchIsAbsent) {
    const PreparedData prepared = coActivation();
    test::PolicyDriver driver("buddy:percentile=0:beta=0.5", kTwo, &prepared);
    driver.run(0, {1, 2});
    EXPECT_EQ(revise(driver, 0, {2, 5}, {0.5F, 0.5F}, kEven).experts, ids({2, 5}));
}

constexpr OffloadShape kSwap{.layers = 2, .experts = 6, .topK = 2, .slots = 4};

void runStep(test::PolicyDriver& driver, const std::vector<int>& executed, const std::vector<int>& original) {
    for (int layer = 0; layer < 2; ++layer) {
        driver.predictors.tell(PredictorKind::OwnGate, layer, 2, original, {0.6F, 0.4F});
        driver.run(layer, executed);
    }
}
std::vector<int> residents(const test::PolicyDriver& driver, int layer) {
    std::vector<int> present;
    for (int expert = 0; expert < driver.context.shape.experts; ++expert)
        if (driver.planner.residency().present({LayerIndex(layer), ExpertId(expert)})) present.push_back(expert);
    return present;
}

TEST(SwapMoe, MasksWhatIsNotOnTheDeviceOnceALayerHasExperts) {
    test::PolicyDriver driver("swapmoe", kSwap);
    std::vector<float> logits{1, 2, 3, 4, 5, 6};
    driver.policy->adjustLogits(LayerIndex(0), 1, logits, driver.planner.view());
    EXPECT_THAT(logits, ElementsAre(1, 2, 3, 4, 5, 6));  // cold: routes freely
    runStep(driver, {1, 4}, {1, 4});
    driver.policy->adjustLogits(LayerIndex(0), 1, logits, driver.planner.view());
    for (int expert = 0; expert < 6; ++expert)
        EXPECT_EQ(logits[static_cast<std::size_t>(expert)] > -1e20F, expert == 1 || expert == 4) << expert;
}

TEST(SwapMoe, BringsWhatTheOriginalGateAsksForAndSpreadsTheSwapsOverTheSteps) {
    test::PolicyDriver driver("swapmoe:every=4", kSwap);
    runStep(driver, {0, 1}, {0, 1});  // an update; nothing is missing
    for (int step = 1; step <= 4; ++step)
        runStep(driver, {0, 1}, {4, 5});  // at step 4 the update finds four to swap: one a step
    EXPECT_THAT(residents(driver, 0), ElementsAre(0, 4));
    std::vector<std::size_t> swaps;
    for (int step = 5; step < 8; ++step) {
        std::size_t count = 0;
        for (int layer = 0; layer < 2; ++layer) {
            const auto executed = residents(driver, layer);
            driver.predictors.tell(PredictorKind::OwnGate, layer, 2, {4, 5}, {0.6F, 0.4F});
            driver.run(layer, executed);
            count += driver.prefetched.size();
            EXPECT_THAT(driver.demanded, IsEmpty());
        }
        swaps.push_back(count);
    }
    EXPECT_THAT(swaps, ElementsAre(1, 1, 1));
    EXPECT_THAT(residents(driver, 0), ElementsAre(4, 5));
    EXPECT_THAT(residents(driver, 1), ElementsAre(4, 5));
}

TEST(SwapMoe, SwapsNoMoreAStepThanItMay) {
    test::PolicyDriver driver("swapmoe:every=1:swaps=1", kSwap);
    runStep(driver, {0, 1}, {0, 1});
    for (int step = 0; step < 6; ++step) {
        std::size_t count = 0;
        for (int layer = 0; layer < 2; ++layer) {
            driver.predictors.tell(PredictorKind::OwnGate, layer, 2, {2, 3}, {0.6F, 0.4F});
            driver.run(layer, residents(driver, layer));
            count += driver.prefetched.size();
        }
        EXPECT_LE(count, 1U);
    }
    EXPECT_THAT(residents(driver, 0), ElementsAre(2, 3));
    EXPECT_THAT(residents(driver, 1), ElementsAre(2, 3));
}

TEST(SwapMoe, GivesMemoryBackAsItIsToldTo) {
    test::PolicyDriver driver("swapmoe:share=1:until=0.5:over=2", kSwap);
    runStep(driver, {0, 1}, {0, 1});
    EXPECT_EQ(driver.planner.residency().occupied(), 4);
    for (int step = 0; step < 3; ++step)
        runStep(driver, {0, 0}, {0, 1});
    EXPECT_THAT(residents(driver, 0), ElementsAre(0));  // 0.6 against 0.4
    EXPECT_THAT(residents(driver, 1), ElementsAre(0));
}

TEST(SwapMoe, DropsWhatAFewVirtualExpertsCannotServe) {
    test::PolicyDriver driver("swapmoe", {.layers = 2, .experts = 6, .topK = 2, .slots = 2});
    runStep(driver, {3, 3}, {3, 2});
    const Revised revised = revise(driver, 0, {3, 0}, {1.0F, 0.0F});
    EXPECT_EQ(revised.experts, ids({3, -1}));
    EXPECT_THAT(revised.actions, ElementsAre(kRun, kDropped));
}

/// The policy's word on the second of two absent experts with these weights.
std::string second(float first, float other) {
    test::PolicyDriver driver("hobbit",
                              {.layers = 1, .experts = 8, .topK = 2, .slots = 4, .lowSlots = 2, .lowRatio = 0.25});
    const Revised revised = revise(driver, 0, {4, 5}, {first, other});
    if (revised.actions[1] == kDropped) return "skipped";
    driver.predictors.tell(PredictorKind::OwnGate, 0, 2, {4, 5}, {first, other});
    driver.run(0, {4, 5}, {first, other});
    EXPECT_FALSE(driver.planner.accesses()[0].low);
    return driver.planner.accesses()[1].low ? "low" : "high";
}

TEST(Hobbit, ChoosesThePrecisionByTheScoreOfThoseBefore) {
    EXPECT_EQ(second(0.55F, 0.45F), "high");
    EXPECT_EQ(second(0.65F, 0.35F), "low");
    EXPECT_EQ(second(0.95F, 0.05F), "skipped");
    EXPECT_EQ(second(0.5F * 0.65F, 0.5F * 0.35F), "low");  // scores are of normalised weights
}

TEST(Hobbit, LeavesNothingOutThatIsThere) {
    test::PolicyDriver driver("hobbit", {.layers = 1, .experts = 8, .topK = 2, .slots = 4});
    driver.run(0, {4, 5});
    EXPECT_THAT(revise(driver, 0, {4, 5}, {0.95F, 0.05F}).actions, Each(kRun));
}

constexpr OffloadShape kTiers{.layers = 3, .experts = 8, .topK = 2, .slots = 4, .lowSlots = 2, .lowRatio = 0.25};

TEST(Hobbit, KeepsCopiesInSlotsOfTheirOwnAndFindsThemAgain) {
    test::PolicyDriver driver("hobbit:look=0", kTiers);
    driver.run(0, {4, 5}, {0.65F, 0.35F});
    EXPECT_THAT(residents(driver, 0), ElementsAre(4));
    EXPECT_EQ(driver.planner.lowOccupied(), 1);
    const ExpertAccess copy = driver.planner.accesses()[1];
    EXPECT_FALSE(copy.present);
    EXPECT_GE(driver.planner.slotOf(copy).value(), kTiers.slots);
    driver.run(0, {4, 5}, {0.65F, 0.35F});
    EXPECT_TRUE(driver.planner.accesses()[1].present);
    EXPECT_TRUE(driver.planner.accesses()[1].low);
    EXPECT_THAT(driver.demanded, IsEmpty());
    driver.run(0, {5, 4}, {0.65F, 0.35F});  // now 5 is asked for in full
    EXPECT_FALSE(driver.planner.accesses()[0].low);
    EXPECT_THAT(residents(driver, 0), ElementsAre(4, 5));
}

TEST(Hobbit, BringsWhatTheFirstLayerWithSomethingMissingNeeds) {
    test::PolicyDriver driver("hobbit:look=2", kTiers);
    driver.run(1, {1, 2}, {0.5F, 0.5F});
    driver.predictors.tell(PredictorKind::NextGate, 1, 2, {1, 2}, {0.5F, 0.5F});  // both are there
    driver.predictors.tell(PredictorKind::NextGate, 2, 2, {6, 7}, {0.7F, 0.3F});
    driver.run(0, {0, 0}, {0.5F, 0.5F});
    ASSERT_EQ(driver.prefetched.size(), 2U);
    EXPECT_THAT(residents(driver, 2), ElementsAre(6));
    EXPECT_TRUE(driver.planner.view().presentLow({LayerIndex(2), ExpertId(7)}));
}

TEST(Hobbit, EvictsTheLeastCostlyUsed) {
    // One layer apart: the distance alone decides between equally used ones, the nearer layer stays.
    test::PolicyDriver driver("hobbit:look=0", {.layers = 3, .experts = 4, .topK = 1, .slots = 3});
    for (int layer = 0; layer < 3; ++layer)
        driver.run(layer, {0});
    driver.run(0, {1});
    // At layer 0 of step 1: layer 0's expert (1/2 + 1) ÷ 0.1, layer 1's ÷ 1.1, layer 2's ÷ 2.1.
    ASSERT_EQ(driver.victims.size(), 1U);
    EXPECT_EQ(driver.victims[0], (ExpertRef{LayerIndex(2), ExpertId(0)}));
}

TEST(Budget, IsDividedAmongExpertsAndCopiesAndAlwaysHoldsAnExpert) {
    OffloadShape shape{.layers = 4, .experts = 8, .topK = 2};
    shape.divide(Bytes(1000), Bytes(100), Bytes(30), 0.2);
    EXPECT_EQ(shape.lowSlots, 6);  // 180 of the 200 bytes
    EXPECT_EQ(shape.slots, 8);
    EXPECT_DOUBLE_EQ(shape.lowRatio, 0.3);
    shape.divide(Bytes(100), Bytes(100), Bytes(30), 0.9);
    EXPECT_EQ(shape.lowSlots, 0);
    EXPECT_EQ(shape.slots, 1);
    shape.divide(Bytes(150), Bytes(100), Bytes(30), 0.9);
    EXPECT_EQ(shape.lowSlots, 1);
    EXPECT_EQ(shape.slots, 1);
    shape.divide(Bytes(1 << 20), Bytes(100), Bytes(30), 0.5);
    EXPECT_EQ(shape.lowSlots, 32);
    EXPECT_EQ(shape.slots, 32);
    shape.divide(Bytes(1000), Bytes(100), Bytes(30), 0);
    EXPECT_EQ(shape.lowSlots, 0);
    EXPECT_EQ(shape.slots, 10);
}

}  // namespace
}  // namespace expertscope
