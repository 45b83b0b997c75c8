// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/inference/pre_gate_fit.h"

#include <cmath>
#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/base/error.h"
#include "engine/inference/adapmoe_calibration.h"
#include "engine/inference/prediction_recall.h"
#include "engine/offload/adapmoe_tables.h"
#include "engine/offload/pre_gate_table.h"
#include "tests/engine/inference/run_helpers.h"

namespace expertscope {
namespace {

const test::TinyQwen3Moe kNarrow{.layers = 4, .experts = 6, .topK = 2, .hidden = 16};

class PreGateFitting : public testing::Test {
protected:
    PreGateFitting() {
        test::writeTinyQwen3Moe(m_folder.path(), kNarrow);
        m_checkpoint = std::make_unique<Checkpoint>(Checkpoint::open(m_folder.path()));
        m_options.threads = 1;
        const std::vector<std::vector<std::int32_t>> prompts{{5, 17, 80}, {3, 41, 60, 9}, {77, 2}};
        m_texts = calibrationTexts(*m_checkpoint, m_options, prompts, {.tokens = 50, .rounds = 6});
    }

    test::TemporaryFolder m_folder;
    std::unique_ptr<Checkpoint> m_checkpoint;
    EngineOptions m_options;
    std::vector<CalibrationText> m_texts;
};

TEST_F(PreGateFitting, MakesTextsOfTheModelAndHoldsTheLastRoundBack) {
    ASSERT_EQ(m_texts.size(), 18U);
    EXPECT_EQ(heldOut(m_texts).size(), 3U);
    EXPECT_TRUE(m_texts.back().heldOut);
    EXPECT_EQ(m_texts[0].ids.size(), 53U);
    EXPECT_EQ(m_texts[15].ids.size(), 50U);  // without its prompt
    EXPECT_NE(m_texts[0].ids, m_texts[3].ids);
}

TEST_F(PreGateFitting, SolvesTheNormalEquationsOfRidgeRegression) {
    PreGateFitOptions options{.engine = m_options, .distances = {1, 2}, .ridge = 0.01, .perplexityByLayer = false};
    const PreGateFit fit = fitPreGates(*m_checkpoint, m_texts, options);
    // X and Y once more, by a tap of this test's own.
    std::map<int, std::vector<double>> inputs, logits;
    test::RunLog log;
    Engine engine(*m_checkpoint, nullptr, m_options, log);
    engine.start();
    engine.tapRouters([&](LayerIndex layer, int, std::span<const float> x, std::span<const float> y) {
        inputs[layer.value()].insert(inputs[layer.value()].end(), x.begin(), x.end());
        logits[layer.value()].insert(logits[layer.value()].end(), y.begin(), y.end());
    });
    for (const CalibrationText& text : m_texts)
        if (!text.heldOut) engine.score(text.ids, [](int, int, std::span<const float>) {});
    const auto hidden = static_cast<std::size_t>(kNarrow.hidden), experts = static_cast<std::size_t>(kNarrow.experts);
    for (const auto& [ahead, reads] : {std::pair{1, 0}, {1, 2}, {2, 1}}) {
        const auto& x = inputs[reads];
        const auto& y = logits[reads + ahead];
        const std::size_t tokens = x.size() / hidden;
        EXPECT_EQ(static_cast<std::int64_t>(tokens), fit.tokens);
        const auto& w =
            fit.data.table(preGateTable(ahead, LayerIndex(reads)), {kNarrow.experts, kNarrow.hidden}).values;
        double trace = 0;
        for (const double value : x)
            trace += value * value;
        std::vector<double> gradient(experts * hidden);  // Xᵀ (X Wᵀ − Y) + λ Wᵀ is to vanish
        double scale = 0;
        for (std::size_t t = 0; t < tokens; ++t) {
            double mean = 0;
            for (std::size_t e = 0; e < experts; ++e)
                mean += y[t * experts + e] / static_cast<double>(experts);
            for (std::size_t e = 0; e < experts; ++e) {
                double rest = mean - y[t * experts + e];
                for (std::size_t h = 0; h < hidden; ++h)
                    rest += static_cast<double>(w[e * hidden + h]) * x[t * hidden + h];
                for (std::size_t h = 0; h < hidden; ++h) {
                    gradient[e * hidden + h] += rest * x[t * hidden + h];
                    scale = std::max(scale, std::abs((y[t * experts + e] - mean) * x[t * hidden + h]));
                }
            }
        }
        const double penalty = 0.01 * trace / static_cast<double>(hidden);
        for (std::size_t i = 0; i < gradient.size(); ++i)
            EXPECT_NEAR(gradient[i] + penalty * static_cast<double>(w[i]), 0,
                        1e-4 * scale * static_cast<double>(tokens));
    }
}

TEST_F(PreGateFitting, ForetellsHeldOutRoutingBetterThanChanceAndSaysHowWell) {
    const PreGateFit fit = fitPreGates(*m_checkpoint, m_texts, {.engine = m_options});
    ASSERT_EQ(fit.distances.size(), 3U);
    EXPECT_EQ(fit.layers.size(), 3U + 2U + 1U);
    EXPECT_GT(fit.residentPerplexity, 1);
    EXPECT_GT(fit.heldOutTokens, 100);
    for (const PreGateDistance& distance : fit.distances) {
        EXPECT_GT(distance.recall, 0.42) << distance.ahead;  // by chance 2 of 6 are found
        EXPECT_LE(distance.recall, 1);
        EXPECT_GT(distance.perplexity, 1);
    }
    for (const PreGateQuality& layer : fit.layers)
        EXPECT_GT(layer.perplexity, 1);
}

TEST_F(PreGateFitting, BringsPreGatedRoutingToACheckpointThatHasNone) {
    test::RunLog log;
    EngineOptions early = m_options;
    early.policy = "pre-gated:ahead=2";
    EXPECT_THROW(Engine(*m_checkpoint, nullptr, early, log), UsageError);
    PreGateFitOptions options{.engine = m_options, .distances = {2}, .perplexityByLayer = false};
    early.prepared = std::make_shared<const PreparedData>(fitPreGates(*m_checkpoint, m_texts, options).data);
    // What the pre-gates say of layers 2 and 3 is what these choose.
    PredictionRecall recall(kNarrow.layers);
    test::runOnce(*m_checkpoint, early, test::request({5, 17, 80}, 6), recall);
    EXPECT_EQ(recall.of(PredictorKind::PreGate, 2).recall(), 1.0);
    EXPECT_EQ(recall.of(PredictorKind::PreGate, 1).used, 0);
    early.policy = "pre-gated";
    EXPECT_THROW(Engine(*m_checkpoint, nullptr, early, log), UsageError) << "there is none one layer ahead";
}

TEST_F(PreGateFitting, NeedsText) {
    EXPECT_THROW(fitPreGates(*m_checkpoint, {}, {.engine = m_options}), UsageError);
    EXPECT_THROW(calibrateAdapMoe(*m_checkpoint, {}, m_options), UsageError);
}

TEST_F(PreGateFitting, MeasuresSensitivitiesThatMakeAdapMoeDropLessWhereLessIsAccepted) {
    const auto texts = heldOut(m_texts);
    const auto data = std::make_shared<const PreparedData>(calibrateAdapMoe(*m_checkpoint, texts, m_options, 100));
    for (const float sensitivity : data->table(kSensitivityTable, {kNarrow.layers}).values)
        EXPECT_GT(sensitivity, 0);
    const auto& weights = data->table(kSlotWeightTable, {kNarrow.layers, kNarrow.topK, kWeightBins}).values;
    float tokens = 0;
    for (int bin = 0; bin < kWeightBins; ++bin)
        tokens += weights[static_cast<std::size_t>(bin)];
    EXPECT_EQ(tokens, 100);  // layer 0, slot 0
    EXPECT_EQ(data->table(kRecallCountTable, {kNarrow.layers}).values[0], 0);
    EXPECT_EQ(data->table(kRecallCountTable, {kNarrow.layers}).values[1], 200);
    // The recall that the tables hold is what PredictionRecall finds.
    PredictionRecall recall(kNarrow.layers);
    EngineOptions watched = m_options;
    watched.record = {.routing = true, .spans = false, .norms = false, .predictions = true};
    CalibrationText first = texts[0], second = texts[1];
    second.ids.resize(100 - first.ids.size());
    perplexity(*m_checkpoint, watched, std::vector{first, second}, recall);
    for (int layer = 1; layer < kNarrow.layers; ++layer) {
        const auto count = recall.of(PredictorKind::NextGate, 1, LayerIndex(layer));
        const auto at = static_cast<std::size_t>(layer);
        EXPECT_EQ(data->table(kRecallSumTable, {kNarrow.layers}).values[at], static_cast<float>(count.found));
        EXPECT_EQ(data->table(kRecallCountTable, {kNarrow.layers}).values[at], static_cast<float>(count.used));
    }
    const auto dropped = [&](const char* policy) {
        EngineOptions options = m_options;
        options.policy = policy;
        options.prepared = data;
        test::RunLog log;
        test::runOnce(*m_checkpoint, options, test::request({5, 17, 80}, 20), log);
        return std::ranges::count(log.selections, SelectionAction::Dropped, &SelectionRecord::action);
    };
    EXPECT_EQ(dropped("adapmoe:threshold=0"), 0);
    EXPECT_LE(dropped("adapmoe:threshold=0.0001"), dropped("adapmoe:threshold=0.1"));
    EXPECT_EQ(dropped("adapmoe:threshold=1000000"), 19 * kNarrow.layers);  // all that were generated, run as top-1
}

TEST(PredictionRecall, CountsChoicesOfEachTokenAndWishesOfAStep) {
    PredictionRecall recall(3);
    const auto expect = [&](PredictorKind kind, int from, int to, int token, int expert) {
        PredictionRecord record;
        record.token = TokenIndex(token);
        record.fromLayer = LayerIndex(from);
        record.targetLayer = LayerIndex(to);
        record.expert = ExpertId(expert);
        record.predictor = kind;
        recall.onPredictions(std::span(&record, 1));
    };
    expect(PredictorKind::NextGate, 0, 1, 7, 2);
    expect(PredictorKind::NextGate, 0, 1, 8, 3);
    expect(PredictorKind::Policy, 0, 1, 7, 3);
    expect(PredictorKind::Policy, 2, 0, 7, 5);  // for the step that comes
    std::vector<SelectionRecord> used;
    for (const auto& [token, expert] : {std::pair{7, 2}, {7, 3}, {8, 2}, {8, 1}}) {
        used.emplace_back();
        used.back().token = TokenIndex(token);
        used.back().layer = LayerIndex(1);
        used.back().expert = ExpertId(expert);
    }
    recall.onSelections(used);
    const auto gate = recall.of(PredictorKind::NextGate, 1, LayerIndex(1));
    EXPECT_EQ(gate.used, 4);
    EXPECT_EQ(gate.found, 1);
    EXPECT_EQ(gate.precision(), .5);
    EXPECT_EQ(recall.of(PredictorKind::Policy, 1).used, 3);
    EXPECT_EQ(recall.of(PredictorKind::Policy, 1).found, 1);
    for (SelectionRecord& record : used)
        record.layer = LayerIndex(0), record.expert = ExpertId(5);
    recall.onSelections(used);
    EXPECT_EQ(recall.of(PredictorKind::Policy, 1, LayerIndex(0)).recall(), 1.0);
}

}  // namespace
}  // namespace expertscope
