// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/replay/routing_trace.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/base/error.h"
#include "tests/profiler/replay/replay_fixture.h"

namespace expertscope {
namespace {

using testing::ElementsAre;

RoutingTrace traceOf(const std::vector<SelectionRecord>& selections,
                     const std::vector<PredictionRecord>& predictions = {},
                     const std::vector<RequestRecord>& requests = {}) {
    RoutingTraceBuilder builder(madeUpModel(2, 8, 2, {10, 20}), requests);
    builder.add(std::span<const PredictionRecord>(predictions));
    builder.add(std::span<const SelectionRecord>(selections));
    return builder.finish();
}

std::vector<PredictionRecord> prediction(int step, int token, int from, int target, std::vector<int> experts,
                                         PredictorKind kind) {
    std::vector<PredictionRecord> records;
    for (const int expert : experts) {
        PredictionRecord& record = records.emplace_back();
        record.step = StepIndex(step);
        record.token = TokenIndex(token);
        record.fromLayer = LayerIndex(from);
        record.targetLayer = LayerIndex(target);
        record.expert = ExpertId(expert);
        record.rank = static_cast<int>(records.size()) - 1;
        record.score = 0.5F;
        record.predictor = kind;
    }
    return records;
}

TEST(RoutingTrace, HoldsEachExpertOfAStepAndLayerOnceInOrderOfFirstUse) {
    const RoutingTrace trace =
        traceOf({choice(0, 0, 0, 0, 5), choice(0, 0, 0, 1, 3), choice(0, 1, 0, 0, 7), choice(0, 1, 0, 1, 5),
                 choice(0, 0, 1, 0, 1), choice(0, 0, 1, 1, 2), choice(1, 2, 0, 0, 3), choice(1, 2, 0, 1, 5)});
    ASSERT_EQ(trace.groups().size(), 3u);
    EXPECT_THAT(trace.accesses(0), ElementsAre(5, 3, 7));
    EXPECT_THAT(trace.lastUses(0), ElementsAre(3, 7, 5)) << "the second token uses 5 again";
    EXPECT_THAT(trace.accesses(1), ElementsAre(9, 10));
    EXPECT_THAT(trace.lastUses(2), ElementsAre(3, 5));
    EXPECT_EQ(trace.groups()[0].tokens, 2);
    EXPECT_EQ(trace.groups()[1].tokens, 1) << "the last layer may route the last token only";
    EXPECT_EQ(trace.steps()[0].phase, Phase::Prefill);
    EXPECT_EQ(trace.steps()[1].phase, Phase::Decode);
    EXPECT_EQ(trace.bytesOf(9), 20);
    EXPECT_FALSE(trace.equalSizes());
    const RoutedLayer routed = trace.routed(0);
    EXPECT_THAT(routed.experts, ElementsAre(ExpertId(5), ExpertId(3), ExpertId(7), ExpertId(5)));
    EXPECT_EQ(routed.tokens, 2);
}

TEST(RoutingTrace, TellsPromptsByTheRequests) {
    RequestRecord first, second;
    first.promptTokens = 1;
    second.request = RequestIndex(1);
    second.firstToken = TokenIndex(3);
    second.promptTokens = 1;
    const RoutingTrace trace =
        traceOf({choice(0, 0, 0, 0, 1), choice(1, 1, 0, 0, 1), choice(2, 3, 0, 0, 1)}, {}, {first, second});
    EXPECT_EQ(trace.steps()[0].phase, Phase::Prefill);
    EXPECT_EQ(trace.steps()[1].phase, Phase::Decode);
    EXPECT_EQ(trace.steps()[2].phase, Phase::Prefill);
    EXPECT_EQ(trace.steps()[2].request, RequestIndex(1));
    EXPECT_EQ(trace.decodeTokens(), 1);
}

TEST(RoutingTrace, LeavesOutWhatWasDropped) {
    SelectionRecord dropped = choice(0, 0, 0, 1, 4);
    dropped.action = SelectionAction::Dropped;
    const RoutingTrace trace = traceOf({choice(0, 0, 0, 0, 2), dropped});
    EXPECT_THAT(trace.accesses(0), ElementsAre(2));
    EXPECT_THAT(trace.routed(0).experts, ElementsAre(ExpertId(2), ExpertId(-1)));
}

TEST(RoutingTrace, ServesWhatEachPredictorExpected) {
    std::vector<PredictionRecord> predictions = prediction(0, 0, 0, 1, {3, 4}, PredictorKind::NextGate);
    const auto add = [&](const std::vector<PredictionRecord>& more) {
        predictions.insert(predictions.end(), more.begin(), more.end());
    };
    add(prediction(0, 1, 0, 1, {5, 6}, PredictorKind::NextGate));
    add(prediction(0, 0, 0, 1, {1, 2}, PredictorKind::PreGate));  // of one token only: incomplete
    const RoutingTrace trace =
        traceOf({choice(0, 0, 0, 0, 2), choice(0, 1, 0, 0, 3), choice(0, 0, 1, 0, 2)}, predictions);
    const Prediction next = trace.prediction(0, PredictorKind::NextGate, LayerIndex(1));
    EXPECT_EQ(next.width, 2);
    EXPECT_THAT(next.experts, ElementsAre(ExpertId(3), ExpertId(4), ExpertId(5), ExpertId(6)));
    EXPECT_TRUE(trace.prediction(0, PredictorKind::PreGate, LayerIndex(1)).empty());
    EXPECT_TRUE(trace.prediction(1, PredictorKind::NextGate, LayerIndex(1)).empty());
    EXPECT_EQ(trace.incomplete(), 1);
}

TEST(RoutingTrace, RefusesWhatTheModelDoesNotHave) {
    EXPECT_THROW(traceOf({choice(0, 0, 2, 0, 1)}), BadInputError);
    EXPECT_THROW(traceOf({choice(0, 0, 0, 0, 8)}), BadInputError);
    EXPECT_THROW(traceOf({choice(1, 0, 0, 0, 1), choice(0, 0, 0, 0, 1)}), BadInputError);
    EXPECT_THROW(RoutingTraceBuilder(ModelFacts{}, {}), BadInputError);
}

}  // namespace
}  // namespace expertscope
