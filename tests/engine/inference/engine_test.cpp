// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/inference/engine.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <tuple>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/base/error.h"
#include "engine/inference/sampler.h"
#include "engine/inference/shadow_predictions.h"
#include "tests/engine/inference/run_helpers.h"

namespace expertscope {
namespace {

class EngineTest : public testing::Test {
protected:
    EngineTest() { test::writeTinyQwen3Moe(m_folder.path(), {.preGates = true}); }
    Checkpoint checkpoint() const { return Checkpoint::open(m_folder.path()); }
    /// Overwrites one element of a tensor in the file.
    void damage(const std::string& tensor) const {
        const Checkpoint before = checkpoint();
        const TensorInfo& info = *before.tensors().find(tensor);
        const std::filesystem::path path = before.tensors().files()[0];
        std::string bytes = test::readFile(path);
        const std::uint16_t nan = test::toBf16(std::numeric_limits<float>::quiet_NaN());
        std::memcpy(bytes.data() + info.offset, &nan, sizeof nan);
        test::writeFile(path, bytes);
    }
    std::string failure() const {
        try {
            test::RunLog log;
            const Checkpoint model = checkpoint();
            test::runOnce(model, {}, test::request({1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, 20), log);
        } catch (const FailedError& error) { return error.what(); }
        return "";
    }
    test::TemporaryFolder m_folder;
};

TEST_F(EngineTest, TellsTokensSelectionsNormsAndSpansOfEveryStep) {
    const Checkpoint model = checkpoint();
    test::RunLog log;
    const auto outcome = test::runOnce(model, {}, test::request({1, 2, 3}, 5), log);
    ASSERT_EQ(outcome.result.generated.size(), 5U);
    ASSERT_EQ(log.tokens.size(), 8U);
    for (std::size_t i = 0; i < log.tokens.size(); ++i) {
        EXPECT_EQ(log.tokens[i].token.index(), i);
        EXPECT_EQ(log.tokens[i].position, static_cast<int>(i));
        EXPECT_EQ(log.tokens[i].phase, i < 3 ? Phase::Prefill : Phase::Decode);
        if (i >= 3) {
            EXPECT_EQ(log.tokens[i].id, outcome.result.generated[i - 3]);
            const auto row = std::span(outcome.logits).subspan((i - 1) * 97, 97);
            double sum = 0;
            for (const float logit : row)
                sum += std::exp(static_cast<double>(logit));
            EXPECT_NEAR(log.tokens[i].logProbability, row[log.tokens[i].id] - std::log(sum), 1e-5);
        } else {
            EXPECT_TRUE(std::isnan(log.tokens[i].logProbability));
        }
    }
    // Seven positions run: the last generated token is not.
    EXPECT_EQ(log.selections.size(), 7U * 3 * 2);
    for (const SelectionRecord& s : log.selections)
        EXPECT_GT(s.norm, 0);
    std::map<SpanKind, int> kinds;
    for (const SpanRecord& span : log.spans) {
        ++kinds[span.kind];
        EXPECT_LE(span.start, span.end);
    }
    EXPECT_EQ(kinds[SpanKind::Step], 5);
    EXPECT_EQ(kinds[SpanKind::Layer], 5 * 3);
    EXPECT_EQ(kinds[SpanKind::Attention], 5 * 3);
    EXPECT_EQ(kinds[SpanKind::Router], 5 * 3);
    EXPECT_EQ(kinds[SpanKind::Sample], 5);
    EXPECT_GE(kinds[SpanKind::ExpertCompute], 5 * 3);
    ASSERT_EQ(log.requests.size(), 2U);
    EXPECT_EQ(log.requests[1].stopped, "tokens");
    EXPECT_EQ(log.requests[1].generatedTokens, 5);
}

TEST_F(EngineTest, TellsWhatThePreGateAndTheNextGatesExpect) {
    const Checkpoint model = checkpoint();
    test::RunLog log;
    EngineOptions options;
    options.policy = "pre-gated";
    test::runOnce(model, options, test::request({1, 2, 3}, 4), log);
    // Layers 0, 1 and 2 of three: the pre-gate reaches one ahead, the gates one and two.
    const std::size_t positions = 6, topK = 2;
    EXPECT_EQ(log.predictions.size(), positions * topK * (2 + 3));
    // Under pre-gated routing the pre-gate's prediction is the next layer's choice.
    std::map<std::tuple<int, int, int>, int> predicted;
    for (const PredictionRecord& p : log.predictions)
        if (p.predictor == PredictorKind::PreGate)
            predicted[{p.token.value(), p.targetLayer.value(), p.rank}] = p.expert.value();
    int compared = 0;
    for (const SelectionRecord& s : log.selections) {
        if (s.layer.value() == 0) continue;
        EXPECT_EQ(s.expert.value(), (predicted.at({s.token.value(), s.layer.value(), s.slot})));
        ++compared;
    }
    EXPECT_EQ(compared, static_cast<int>(positions * topK * 2));
}

TEST_F(EngineTest, PredictsForAGeneratedTokenWhatItPredictsForThatTokenOfAPrompt) {
    test::writeTinyQwen3Moe(m_folder.path(), {.context = ShadowPredictions::kMostTokens + 20, .preGates = true});
    const Checkpoint model = checkpoint();
    using Key = std::tuple<int, PredictorKind, int, int, int>;
    const auto predictions = [&](const std::vector<std::int32_t>& prompt, int tokens, int threads, test::RunLog& log) {
        EngineOptions options;
        options.threads = threads;
        test::runOnce(model, options, test::request(prompt, tokens), log);
        std::map<Key, std::pair<int, float>> told;
        for (const PredictionRecord& p : log.predictions)
            told[{p.token.value(), p.predictor, p.fromLayer.value(), p.targetLayer.value(), p.rank}] = {
                p.expert.value(), p.score};
        EXPECT_EQ(told.size(), log.predictions.size()) << "each is told once";
        return told;
    };
    // More tokens than are kept at once, and not a multiple of them.
    // Where the run's threads leave a processor they are made beside it, else by these threads.
    for (const int threads : {1, ThreadPool::availableCpus(), ThreadPool::availableCpus() + 2}) {
        SCOPED_TRACE(threads);
        test::RunLog generated, prompted;
        const auto one = predictions({1, 2, 3}, ShadowPredictions::kMostTokens + 6, threads, generated);
        std::vector<std::int32_t> whole;
        for (const TokenRecord& token : generated.tokens)
            whole.push_back(token.id);
        whole.pop_back();  // the last one is made but not run
        const auto other = predictions(whole, 1, threads, prompted);
        EXPECT_EQ(one, other);
        const auto order = [](const PredictionRecord& p) { return std::pair(p.step.value(), p.fromLayer.value()); };
        EXPECT_TRUE(std::ranges::is_sorted(generated.predictions, {}, order));
        const bool beside = ShadowPredictions::roomBeside(threads);
        const auto onItsLane = [](const SpanRecord& span) {
            return span.kind == SpanKind::Predict && span.lane == ShadowPredictions::kLane;
        };
        const auto ofWorker = [](const SpanRecord& span) {
            return span.kind == SpanKind::Predict && span.lane.value() < 100 && span.layer.value() < 0;
        };
        // At least once when as many as fit are kept, and once at the end.
        EXPECT_GE(std::ranges::count_if(generated.spans, onItsLane), beside ? 2 : 0);
        EXPECT_EQ(std::ranges::any_of(generated.spans, onItsLane), beside);
        EXPECT_GE(std::ranges::count_if(generated.spans, ofWorker), beside ? 0 : 2);
        EXPECT_EQ(std::ranges::any_of(generated.spans, ofWorker), !beside);
        // Whoever listens hears that the run has caught up: at its end nothing is left to tell, and what its threads
        // make in the middle is told there. (A thread beside may need longer than the last six tokens take.)
        ASSERT_GE(generated.toldWhenCaughtUp.size(), beside ? 1U : 2U);
        EXPECT_GT(generated.toldWhenCaughtUp.front().first, 0U);
        EXPECT_EQ(generated.toldWhenCaughtUp.size() > 1,
                  generated.toldWhenCaughtUp.front().first < generated.predictions.size());
        EXPECT_EQ(generated.toldWhenCaughtUp.back(),
                  std::pair(generated.predictions.size(), generated.requests.size()));
    }
}

TEST_F(EngineTest, TellsOnlyWhatIsAskedFor) {
    const Checkpoint model = checkpoint();
    test::RunLog log;
    EngineOptions options;
    options.policy = "on-demand";
    options.record = {.routing = true, .spans = false, .norms = false, .predictions = false};
    test::runOnce(model, options, test::request({1, 2, 3}, 4), log);
    EXPECT_TRUE(log.spans.empty());
    EXPECT_TRUE(log.predictions.empty());
    ASSERT_FALSE(log.selections.empty());
    EXPECT_TRUE(std::isnan(log.selections[0].norm));
}

TEST_F(EngineTest, StopsAtTheContextsEndAndSaysSo) {
    const Checkpoint model = checkpoint();
    test::RunLog log;
    const auto outcome = test::runOnce(model, {}, test::request(std::vector<std::int32_t>(60, 7), 50), log);
    EXPECT_EQ(outcome.result.generated.size(), 5U);  // positions 60 to 63 are run, and one more is made
    EXPECT_EQ(outcome.result.stopped, "context");
    const auto full = test::runOnce(model, {}, test::request(std::vector<std::int32_t>(64, 7), 1), log);
    EXPECT_EQ(full.result.generated.size(), 1U);
    EXPECT_EQ(full.result.stopped, "tokens");
}

TEST_F(EngineTest, RefusesPromptsThatItCannotRun) {
    const Checkpoint model = checkpoint();
    test::RunLog log;
    EXPECT_THROW(test::runOnce(model, {}, test::request(std::vector<std::int32_t>(65, 7), 1), log), BadInputError);
    EXPECT_THROW(test::runOnce(model, {}, test::request({}, 1), log), BadInputError);
    EXPECT_THROW(test::runOnce(model, {}, test::request({1, 97}, 1), log), BadInputError);
    EXPECT_THROW(test::runOnce(model, {}, test::request({-1}, 1), log), BadInputError);
}

TEST_F(EngineTest, StopsAfterTheCurrentTokenWhenAsked) {
    const Checkpoint model = checkpoint();
    test::RunLog log;
    Engine engine(model, nullptr, {}, log);
    engine.start();
    int positions = 0;
    const auto result = engine.generate(test::request({1, 2, 3}, 40), [&](int, int count, std::span<const float>) {
        positions += count;
        if (positions == 8) engine.requestStop();
    });
    EXPECT_EQ(result.stopped, "interrupted");
    EXPECT_EQ(result.generated.size(), 6U);
}

TEST_F(EngineTest, KeepsTheExpertCacheAndClearsTheContextBetweenRequests) {
    const Checkpoint model = checkpoint();
    test::RunLog log;
    EngineOptions options;
    options.policy = "on-demand";
    Engine engine(model, nullptr, options, log);
    engine.start();
    const auto first = engine.generate(test::request({4, 5, 6}, 6));
    const auto second = engine.generate(test::request({4, 5, 6}, 6));
    EXPECT_EQ(first.generated, second.generated);
    const std::int64_t distinct = [&] {
        std::set<std::pair<int, int>> experts;
        for (const SelectionRecord& s : log.selections)
            experts.emplace(s.layer.value(), s.expert.value());
        return static_cast<std::int64_t>(experts.size());
    }();
    EXPECT_EQ(engine.finish().misses, distinct);  // the second request finds all it needs
    EXPECT_EQ(log.tokens.back().token, TokenIndex(17));
    EXPECT_EQ(log.tokens.back().position, 8);
}

TEST_F(EngineTest, NamesLayerAndExpertOfAValueThatIsNotFinite) {
    damage("model.layers.1.mlp.experts.4.up_proj.weight");
    const std::string sentence = failure();
    EXPECT_THAT(sentence, testing::HasSubstr("Expert 4 of layer 1"));
}

TEST_F(EngineTest, NamesTheLayerWhoseAttentionIsNotFinite) {
    damage("model.layers.2.self_attn.o_proj.weight");
    EXPECT_THAT(failure(), testing::HasSubstr("attention of layer 2"));
}

TEST_F(EngineTest, ScoresAsGenerateDoes) {
    const Checkpoint model = checkpoint();
    test::RunLog log;
    const auto generated = test::runOnce(model, {}, test::request({9, 8, 7, 6}, 1), log);
    Engine engine(model, nullptr, {}, log);
    engine.start();
    std::vector<float> scored;
    engine.score(std::vector<std::int32_t>{9, 8, 7, 6}, [&](int, int, std::span<const float> logits) {
        scored.insert(scored.end(), logits.begin(), logits.end());
    });
    EXPECT_EQ(scored, generated.logits);
}

}  // namespace
}  // namespace expertscope
