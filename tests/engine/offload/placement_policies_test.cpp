// SPDX-License-Identifier: GPL-3.0-or-later
// layer-stream, static, cpu-experts, cost-model, monde, hybrimoe: what each places, moves and leaves where it lies.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/base/error.h"
#include "engine/offload/prepared_data.h"
#include "tests/engine/offload/policy_driver.h"

namespace expertscope {
namespace {

using test::PolicyDriver;
using test::ref;
using testing::Each;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

std::vector<ExpertRef> preloaded(PolicyDriver& d) {
    std::vector<SlotCommand> commands;
    d.planner.preload(commands);
    std::vector<ExpertRef> refs;
    for (const SlotCommand& command : commands)
        refs.push_back(command.expert);
    return refs;
}

/// Experts of the last layer that were computed where they lie.
std::vector<int> inPlace(const PolicyDriver& d) {
    std::vector<int> experts;
    for (const ExpertAccess& access : d.planner.accesses())
        if (access.inPlace()) experts.push_back(access.expert.value());
    return experts;
}

PreparedData popularity(std::vector<std::int64_t> shape, std::vector<float> counts) {
    PreparedData data;
    data.set("popularity", std::move(shape), std::move(counts));
    return data;
}

/// `times` each expert in turn, as a step of tokens with one expert each.
std::vector<int> tokensOf(const std::vector<std::pair<int, int>>& expertTimes) {
    std::vector<int> chosen;
    for (const auto& [expert, times] : expertTimes)
        chosen.insert(chosen.end(), static_cast<std::size_t>(times), expert);
    return chosen;
}

// ---- layer-stream

TEST(LayerStream, BringsTheWholeNextLayerAndKeepsNothing) {
    PolicyDriver d("layer-stream", {.layers = 3, .experts = 4, .topK = 2, .slots = 12});
    d.run(0, {1, 2});
    EXPECT_THAT(d.demanded, ElementsAre(ref(0, 1), ref(0, 2)));
    EXPECT_THAT(d.prefetched, ElementsAre(ref(1, 0), ref(1, 1), ref(1, 2), ref(1, 3)));
    EXPECT_THAT(d.released, ElementsAre(ref(0, 1), ref(0, 2)));
    d.run(1, {0, 3});
    EXPECT_THAT(d.demanded, IsEmpty());
    EXPECT_THAT(d.released, ElementsAre(ref(1, 0), ref(1, 1), ref(1, 2), ref(1, 3)));  // used or not
    d.run(2, {0, 1});
    EXPECT_THAT(d.prefetched, ElementsAre(ref(0, 0), ref(0, 1), ref(0, 2), ref(0, 3)));  // of the next step
    for (int step = 0; step < 3; ++step)
        for (int layer = 0; layer < 3; ++layer) {
            d.run(layer, {0, 1});
            EXPECT_THAT(d.demanded, IsEmpty());
            EXPECT_EQ(d.prefetched.size(), 4U);  // every layer's bytes, every step
            EXPECT_EQ(d.planner.residency().occupied(), 4);
        }
}

TEST(LayerStream, LooksAsManyLayersAheadAsItIsTold) {
    PolicyDriver d("layer-stream:ahead=2", {.layers = 3, .experts = 2, .topK = 1, .slots = 6});
    d.run(0, {1});
    EXPECT_THAT(d.prefetched, ElementsAre(ref(1, 0), ref(1, 1), ref(2, 0), ref(2, 1)));
    EXPECT_THROW(makePolicy("layer-stream:ahead=0"), UsageError);
}

// ---- static

TEST(Static, UniformGivesEveryLayerItsFirstExpertsAndTheFirstLayersTheRest) {
    PolicyDriver d("static", {.layers = 3, .experts = 4, .topK = 1, .slots = 7});
    EXPECT_THAT(preloaded(d),
                UnorderedElementsAre(ref(0, 0), ref(0, 1), ref(0, 2), ref(1, 0), ref(1, 1), ref(2, 0), ref(2, 1)));
}

TEST(Static, FrontLoadingFillsLayersFromTheFirst) {
    PolicyDriver d("static:mode=front-loading", {.layers = 3, .experts = 4, .topK = 1, .slots = 6});
    EXPECT_THAT(preloaded(d), ElementsAre(ref(0, 0), ref(0, 1), ref(0, 2), ref(0, 3), ref(1, 0), ref(1, 1)));
}

TEST(Static, FrequencyTakesTheMostPopularOfAllLayers) {
    const PreparedData data = popularity({2, 4}, {5, 0, 9, 1, 5, 7, 0, 2});
    PolicyDriver d("static:mode=frequency", {.layers = 2, .experts = 4, .topK = 1, .slots = 4}, &data);
    EXPECT_THAT(preloaded(d), ElementsAre(ref(0, 2), ref(1, 1), ref(0, 0), ref(1, 0)));
}

TEST(Static, NeedsThePopularityForThePlacementByFrequencyAlone) {
    EXPECT_THAT(missingTables("static:mode=frequency", nullptr), ElementsAre("popularity"));
    EXPECT_THAT(missingTables("static", nullptr), IsEmpty());
    EXPECT_THAT(missingTables("static:mode=dynamic", nullptr), IsEmpty());
    const PreparedData data = popularity({1, 2}, {1, 2});
    EXPECT_THAT(missingTables("static:mode=frequency", &data), IsEmpty());
    EXPECT_THROW(PolicyDriver("static:mode=frequency", {.layers = 2, .experts = 4, .topK = 1, .slots = 4}), UsageError);
    EXPECT_THROW(PolicyDriver("static:mode=frequency", {.layers = 2, .experts = 4, .topK = 1, .slots = 4}, &data),
                 BadInputError);
}

TEST(Static, RandomDrawsEachExpertOnceAndTheSameForASeed) {
    const OffloadShape shape{.layers = 4, .experts = 8, .topK = 1, .slots = 32};
    const auto drawn = [&](const char* spec) {
        PolicyDriver d(spec, shape);
        return preloaded(d);
    };
    const auto first = drawn("static:mode=random");
    EXPECT_EQ(first, drawn("static:mode=random:seed=42"));
    EXPECT_NE(first, drawn("static:mode=random:seed=43"));
    std::set<int> all;
    for (const ExpertRef expert : first)
        all.insert(shape.flat(expert));
    EXPECT_EQ(all.size(), 32U);
}

TEST(Static, MovesNothingOnceItHasPlacedItsExperts) {
    for (const char* spec : {"static", "static:mode=random", "cpu-experts"}) {
        PolicyDriver d(spec, {.layers = 2, .experts = 4, .topK = 2, .slots = 4});
        preloaded(d);
        for (int step = 0; step < 8; ++step)
            for (int layer = 0; layer < 2; ++layer) {
                d.run(layer, {step % 4, (step + 1) % 4});
                EXPECT_THAT(d.demanded, IsEmpty());
                EXPECT_THAT(d.prefetched, IsEmpty());
                for (const int expert : {step % 4, (step + 1) % 4})
                    EXPECT_NE(d.present(layer, expert), std::ranges::count(inPlace(d), expert) == 1) << spec;
            }
    }
}

TEST(Static, DynamicPicksALayersExpertsAnewByAPromptAndKeepsTheirNumber) {
    PolicyDriver d("static:mode=dynamic:refresh=6", {.layers = 2, .experts = 6, .topK = 1, .slots = 5});
    EXPECT_THAT(preloaded(d), UnorderedElementsAre(ref(0, 0), ref(0, 1), ref(0, 2), ref(1, 0), ref(1, 1)));
    d.run(0, tokensOf({{5, 3}, {4, 2}}), {}, Phase::Prefill);  // too short a prompt
    EXPECT_THAT(inPlace(d), ElementsAre(5, 4));
    d.run(0, tokensOf({{5, 3}, {3, 1}, {4, 2}, {1, 1}}), {}, Phase::Prefill);  // 5, 4, then of 1 and 3 the one there
    EXPECT_THAT(d.demanded, ElementsAre(ref(0, 5), ref(0, 4)));
    EXPECT_THAT(d.victims, UnorderedElementsAre(ref(0, 0), ref(0, 2)));  // the layer's own that were not picked
    EXPECT_THAT(inPlace(d), ElementsAre(3));
    d.run(0, {3});
    EXPECT_THAT(d.demanded, IsEmpty());
    EXPECT_THAT(inPlace(d), ElementsAre(3));
    EXPECT_TRUE(d.present(0, 1) && d.present(0, 4) && d.present(0, 5) && d.present(1, 0) && d.present(1, 1));
}

// ---- cpu-experts

TEST(CpuExperts, LeavesTheFirstLayersWhereTheyLie) {
    PolicyDriver d("cpu-experts:layers=1", {.layers = 3, .experts = 2, .topK = 1, .slots = 6});
    EXPECT_THAT(preloaded(d), ElementsAre(ref(1, 0), ref(1, 1), ref(2, 0), ref(2, 1)));
    d.run(0, {1});
    EXPECT_THAT(inPlace(d), ElementsAre(1));
    d.run(1, {1});
    EXPECT_THAT(inPlace(d), IsEmpty());
}

TEST(CpuExperts, LeavesAsManyLayersAsTheBudgetDemands) {
    PolicyDriver some("cpu-experts", {.layers = 3, .experts = 2, .topK = 1, .slots = 5});
    EXPECT_THAT(preloaded(some), ElementsAre(ref(1, 0), ref(1, 1), ref(2, 0), ref(2, 1)));
    PolicyDriver none("cpu-experts", {.layers = 3, .experts = 2, .topK = 1, .slots = 1});
    EXPECT_THAT(preloaded(none), IsEmpty());
    PolicyDriver tooMuch("cpu-experts:layers=0", {.layers = 3, .experts = 2, .topK = 1, .slots = 3});
    EXPECT_THAT(preloaded(tooMuch), ElementsAre(ref(0, 0), ref(0, 1), ref(1, 0)));
}

// ---- cost-model

/// Fiddler's own figures: 7 a token where it lies, 70 to bring an expert.
constexpr OffloadCosts kFiddler{.transfer = Nanoseconds(70),
                                .compute = Nanoseconds(0),
                                .computeToken = Nanoseconds(0),
                                .inPlace = Nanoseconds(7),
                                .inPlaceToken = Nanoseconds(7)};

struct CostDriver : PolicyDriver {
    CostDriver(const std::string& spec, OffloadShape shape, const OffloadCosts& costs,
               const PreparedData* prepared = nullptr)
        : PolicyDriver(spec, shape, prepared) {
        context.costs = costs;
        preloaded(*this);
    }
};

TEST(CostModel, ByTheSumComputesInPlaceWhatHasFewerThanTenTokens) {
    const PreparedData data = popularity({1, 8}, {9, 8, 7, 6, 5, 4, 3, 2});
    CostDriver d("cost-model:objective=sum", {.layers = 1, .experts = 8, .topK = 1, .slots = 2}, kFiddler, &data);
    EXPECT_TRUE(d.present(0, 0));  // the other slot is for what is fetched
    d.run(0, tokensOf({{0, 1}, {5, 9}, {6, 10}, {7, 30}}), {}, Phase::Prefill);
    EXPECT_THAT(inPlace(d), ElementsAre(5));
    EXPECT_THAT(d.demanded, ElementsAre(ref(0, 6), ref(0, 7)));
    EXPECT_THAT(d.victims, ElementsAre(ref(0, 6)));  // one after the other through the free slot
    EXPECT_THAT(d.released, ElementsAre(ref(0, 7)));
    EXPECT_TRUE(d.present(0, 0));
}

TEST(CostModel, ByTheMaximumLetsBothSidesEndTogether) {
    std::vector<float> counts(21, 0);
    counts[20] = 1;
    const PreparedData data = popularity({1, 21}, counts);
    const auto fetched = [&](int experts) {
        CostDriver d("cost-model", {.layers = 1, .experts = 21, .topK = 1, .slots = 2}, kFiddler, &data);
        std::vector<std::pair<int, int>> one;
        for (int expert = 0; expert < experts; ++expert)
            one.emplace_back(expert, 1);
        d.run(0, tokensOf(one));
        return d.demanded.size();
    };
    EXPECT_EQ(fetched(8), 0U);   // 56 in place against max(49, 70)
    EXPECT_EQ(fetched(10), 0U);  // 70 against 70: moves nothing for nothing
    EXPECT_EQ(fetched(11), 1U);  // 77 against max(70, 70)
    EXPECT_EQ(fetched(20), 1U);  // 140; one: 133; two: 140
    CostDriver d("cost-model", {.layers = 1, .experts = 21, .topK = 1, .slots = 2}, kFiddler, &data);
    d.run(0, tokensOf({{3, 2}, {4, 12}, {5, 3}}));  // 119; the one with most: max(70, 35)
    EXPECT_THAT(d.demanded, ElementsAre(ref(0, 4)));
    EXPECT_THAT(inPlace(d), ElementsAre(3, 5));
}

// ---- monde

TEST(Monde, MovesTheHottestUntilBothSidesEndTogether) {
    const OffloadCosts costs{.transfer = Nanoseconds(100),
                             .compute = Nanoseconds(10),
                             .computeToken = Nanoseconds(2),
                             .inPlace = Nanoseconds(40),
                             .inPlaceToken = Nanoseconds(20)};
    CostDriver d("monde", {.layers = 1, .experts = 8, .topK = 1, .slots = 8}, costs);
    // In place 40 + 20·(tokens − 1): 220, 120, 60, 40 of 440. Moved 1: max(220, 100 + 28) = 220; 2: max(100, 200 + 18).
    d.run(0, tokensOf({{2, 1}, {3, 10}, {4, 5}, {5, 2}}), {}, Phase::Prefill);
    EXPECT_THAT(d.demanded, ElementsAre(ref(0, 3), ref(0, 4)));
    EXPECT_THAT(inPlace(d), ElementsAre(2, 5));
    EXPECT_THAT(d.released, ElementsAre(ref(0, 3), ref(0, 4)));  // no cache
    // One token each, as in decoding: 4 · 40 = 160; moved 1: max(120, 110); 2: max(80, 210).
    d.run(0, {2, 3, 4, 5});
    EXPECT_THAT(d.demanded, ElementsAre(ref(0, 2)));
}

// ---- hybrimoe

TEST(HybriMoe, ScoresByADecayingSumOfTheGatesBestAndEvictsTheLowestOfTheLayer) {
    PolicyDriver d("hybrimoe:prefetch=0", {.layers = 1, .experts = 6, .topK = 1, .slots = 3});
    const auto step = [&](std::vector<int> best, std::vector<float> scores, int chosen) {
        d.predictors.tell(PredictorKind::OwnGate, 0, 2, best, scores);
        d.run(0, {chosen});
    };
    EXPECT_EQ(d.policy->ownGateWidth(), 2);
    step({0, 1}, {0.8F, 0.1F}, 0);  // S: 0.4, 0.05
    step({1, 2}, {0.5F, 0.4F}, 1);  // S: 0.2, 0.275, 0.2
    step({2, 1}, {0.6F, 0.2F}, 2);  // S: 0.1, 0.2375, 0.4
    EXPECT_DOUBLE_EQ(d.planner.rule().score(0), 0.25 * 0.5 * static_cast<double>(0.8F));
    step({3, 0}, {0.7F, 0.3F}, 3);                   // S: 0.2, 0.11875, 0.2, 0.35
    EXPECT_THAT(d.victims, ElementsAre(ref(0, 1)));  // least recently used would be 0
    EXPECT_TRUE(d.present(0, 0));
}

TEST(HybriMoe, PrefetchesTheBestOfTheNextLayerByItsScore) {
    PolicyDriver d("hybrimoe:prefetch=2", {.layers = 2, .experts = 6, .topK = 2, .slots = 8});
    d.predictors.tell(PredictorKind::OwnGate, 1, 4, {4, 2, 5, 0}, {0.4F, 0.3F, 0.2F, 0.1F});
    d.run(0, {0, 1});
    EXPECT_THAT(d.wanted(), IsEmpty());  // nothing is known of layer 1 yet
    d.run(1, {4, 2});
    d.run(0, {0, 1});
    EXPECT_THAT(d.wanted(), ElementsAre(ref(1, 4), ref(1, 2)));
    d.run(0, {0, 1, 2, 3}, {}, Phase::Prefill);
    EXPECT_THAT(d.wanted(), ElementsAre(ref(1, 4), ref(1, 2), ref(1, 5), ref(1, 0)));
}

TEST(HybriMoe, GivesEachMissToTheSideOnWhichItEndsEarlierInDecodeAlone) {
    const OffloadCosts costs{.transfer = Nanoseconds(25),
                             .compute = Nanoseconds(10),
                             .computeToken = Nanoseconds(10),
                             .inPlace = Nanoseconds(20),
                             .inPlaceToken = Nanoseconds(20)};
    CostDriver d("hybrimoe:prefetch=0", {.layers = 1, .experts = 8, .topK = 1, .slots = 8}, costs);
    // In place: 20. Device, link free at 25: 35 < 40. In place: 40 against the device at 60. Then 60 against 60.
    d.run(0, {0, 1, 2, 3});
    EXPECT_THAT(inPlace(d), ElementsAre(0, 2));
    EXPECT_THAT(d.demanded, ElementsAre(ref(0, 1), ref(0, 3)));
    CostDriver prompt("hybrimoe:prefetch=0", {.layers = 1, .experts = 8, .topK = 1, .slots = 8}, costs);
    prompt.run(0, {0, 1, 2, 3}, {}, Phase::Prefill);
    EXPECT_THAT(inPlace(prompt), IsEmpty());
}

}  // namespace
}  // namespace expertscope
