// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/offload/expert_activation.h"

#include <cmath>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/engine/offload/expert_ref.h"

namespace expertscope {
namespace {

using test::ref;
using testing::ElementsAre;
using testing::IsEmpty;

ExpertActivation matrix(const std::vector<std::vector<int>>& rows) {
    ExpertActivation activation(static_cast<int>(rows.size()), static_cast<int>(rows[0].size()));
    for (std::size_t layer = 0; layer < rows.size(); ++layer)
        for (std::size_t expert = 0; expert < rows[layer].size(); ++expert)
            activation.add(ref(static_cast<int>(layer), static_cast<int>(expert)),
                           static_cast<float>(rows[layer][expert]));
    return activation;
}

void route(ActivationTracker& tracker, int step, int layer, const std::vector<int>& chosen, Phase phase) {
    std::vector<ExpertId> experts;
    for (const int expert : chosen)
        experts.emplace_back(expert);
    const std::vector<float> weights(experts.size(), 1.0F);
    tracker.observe({.step = StepIndex(step),
                     .layer = LayerIndex(layer),
                     .phase = phase,
                     .tokens = static_cast<int>(chosen.size()),
                     .experts = experts,
                     .weights = weights});
}

TEST(ExpertActivation, CountsTheTokensOfEachExpertAndNoDroppedChoice) {
    ExpertActivation activation(2, 4);
    const std::vector<ExpertId> experts{ExpertId(3), ExpertId(1), ExpertId(3), ExpertId(-1)};
    const std::vector<float> weights(4, 0.5F);
    activation.add({.step = StepIndex(0), .layer = LayerIndex(1), .tokens = 2, .experts = experts, .weights = weights});
    EXPECT_THAT(activation.row(LayerIndex(0)), ElementsAre(0, 0, 0, 0));
    EXPECT_THAT(activation.row(LayerIndex(1)), ElementsAre(0, 1, 0, 2));
}

TEST(ExpertActivation, MeasuresTheAngleBetweenFlattenedMatrices) {
    const ExpertActivation a = matrix({{3, 0}, {0, 4}});
    EXPECT_DOUBLE_EQ(cosine(a, a), 1);
    EXPECT_DOUBLE_EQ(cosine(a, matrix({{1, 0}, {0, 0}})), 0.6);
    EXPECT_DOUBLE_EQ(cosine(a, matrix({{0, 9}, {9, 0}})), 0);
    EXPECT_DOUBLE_EQ(cosine(a, ExpertActivation(2, 2)), 0);
}

TEST(ActivationCollection, ReplacesTheNearestWhenItIsFull) {
    ActivationCollection collection(1, 3, 2);
    EXPECT_EQ(collection.insert(ExpertActivation(1, 3)), -1);
    EXPECT_EQ(collection.insert(matrix({{5, 0, 0}})), 0);
    EXPECT_EQ(collection.insert(matrix({{0, 5, 0}})), 1);
    EXPECT_EQ(collection.insert(matrix({{1, 9, 0}})), 1);
    EXPECT_EQ(collection.insert(matrix({{7, 0, 2}})), 0);
    EXPECT_EQ(collection.size(), 2);
    EXPECT_EQ(collection.entry(0), matrix({{7, 0, 2}}));
    EXPECT_EQ(collection.entry(1), matrix({{1, 9, 0}}));
    EXPECT_EQ(collection.rowSum(1, LayerIndex(0)), 10);
}

TEST(ActivationCollection, AnswersAGrowingQueryAsTheCosineOfAllEntriesDoes) {
    std::mt19937 random(11);
    ActivationCollection collection(3, 8, 40);
    for (int i = 0; i < 60; ++i) {
        ExpertActivation activation(3, 8);
        for (int tokens = 0; tokens < 30; ++tokens)
            activation.add(ref(static_cast<int>(random() % 3), static_cast<int>(random() % 8)));
        collection.insert(activation);
    }
    for (int round = 0; round < 20; ++round) {
        ActivationQuery query;
        collection.restart(query);
        ExpertActivation seen(3, 8);
        for (int i = 0; i < 12; ++i) {
            const ExpertRef next = ref(static_cast<int>(random() % 3), static_cast<int>(random() % 8));
            collection.add(query, next, 2);
            seen.add(next, 2);
            std::vector<int> entries;
            collection.nearest(query, 3, entries);
            ASSERT_EQ(entries.size(), 3U);
            std::vector<double> all;
            for (int at = 0; at < 40; ++at)
                all.push_back(cosine(seen, collection.entry(at)));
            std::ranges::sort(all, std::greater{});
            for (std::size_t k = 0; k < 3; ++k)
                EXPECT_NEAR(cosine(seen, collection.entry(entries[k])), all[k], 1e-6);
        }
    }
}

/// The derived micro-example of MoE-Infinity's prediction: shares of rows times how near the layer is.
TEST(ActivationTracker, PredictsByTheSharesOfTheNearestRequestAndByProximity) {
    ActivationTracker tracker({.layers = 4, .experts = 4, .topK = 1, .slots = 4});
    const std::vector<ExpertActivation> past{matrix({{0, 0, 0, 8}, {8, 0, 0, 0}, {8, 0, 0, 0}, {0, 8, 0, 0}}),
                                             matrix({{6, 2, 0, 0}, {0, 0, 8, 0}, {1, 1, 1, 5}, {8, 0, 0, 0}})};
    tracker.seed(past);
    route(tracker, 0, 0, {0, 1, 0}, Phase::Prefill);
    EXPECT_THAT(tracker.matched(), ElementsAre(1));
    EXPECT_DOUBLE_EQ(tracker.share(ref(0, 1)), 0.25);
    EXPECT_DOUBLE_EQ(tracker.share(ref(2, 3)), 0.625);
    EXPECT_DOUBLE_EQ(tracker.likelihood(ref(0, 1)), 0);            // has been
    EXPECT_DOUBLE_EQ(tracker.likelihood(ref(2, 3)), 0.625 * 0.5);  // two of four layers ahead
    EXPECT_DOUBLE_EQ(tracker.likelihood(ref(3, 0)), 1.0 * 0.25);   // three ahead
    EXPECT_DOUBLE_EQ(tracker.likelihood(ref(1, 2)), 1.0 * 0.75);   // next
    EXPECT_DOUBLE_EQ(tracker.likelihood(ref(2, 0)), 0.125 * 0.5);
}

TEST(ActivationTracker, SumsTheMatchedRequestsBeforeItNormalises) {
    ActivationTracker tracker({.layers = 2, .experts = 2, .topK = 1, .slots = 2}, 8, 2);
    const std::vector<ExpertActivation> past{matrix({{2, 0}, {6, 0}}), matrix({{0, 2}, {1, 1}}),
                                             matrix({{2, 1}, {0, 2}})};
    tracker.seed(past);
    route(tracker, 0, 0, {0}, Phase::Decode);
    EXPECT_THAT(tracker.matched(), ElementsAre(2, 0));  // cosines 2/3, 2/√40, 0
    EXPECT_DOUBLE_EQ(tracker.share(ref(1, 0)), 6.0 / 8);
}

TEST(ActivationTracker, CollectsThePromptAndWhatIsGeneratedApart) {
    ActivationTracker tracker({.layers = 2, .experts = 3, .topK = 1, .slots = 2});
    tracker.beginRequest();
    route(tracker, 0, 0, {0, 1, 1}, Phase::Prefill);
    route(tracker, 0, 1, {2, 2, 2}, Phase::Prefill);
    EXPECT_THAT(tracker.matched(), IsEmpty());
    EXPECT_EQ(tracker.likelihood(ref(1, 2)), 0);
    route(tracker, 1, 0, {0}, Phase::Decode);
    EXPECT_THAT(tracker.matched(), ElementsAre(0));
    route(tracker, 1, 1, {1}, Phase::Decode);
    route(tracker, 2, 0, {2}, Phase::Decode);
    EXPECT_EQ(tracker.iteration(), matrix({{0, 0, 1}, {0, 0, 0}}));
    EXPECT_EQ(tracker.request(), matrix({{1, 0, 1}, {0, 1, 0}}));
    tracker.beginRequest();
    ASSERT_EQ(tracker.collection().size(), 2);
    EXPECT_EQ(tracker.collection().entry(0), matrix({{1, 2, 0}, {0, 0, 3}}));
    EXPECT_EQ(tracker.collection().entry(1), matrix({{1, 0, 1}, {0, 1, 0}}));
    route(tracker, 3, 0, {1}, Phase::Prefill);
    EXPECT_THAT(tracker.matched(), ElementsAre(0));
    EXPECT_EQ(tracker.request(), matrix({{0, 1, 0}, {0, 0, 0}}));
}

}  // namespace
}  // namespace expertscope
