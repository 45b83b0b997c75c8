// SPDX-License-Identifier: GPL-3.0-or-later
// The forward pass against the logits, expert choices and weights of independent implementations.

#include <cmath>
#include <cstdlib>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/engine/inference/run_helpers.h"

namespace expertscope {
namespace {

using nlohmann::json;

/// Runs the tokens as one prompt and compares the last logits within `tolerance` × max|logit|, every expert choice, and
/// the weights within `weightTolerance`.
void expectAsExpected(const Checkpoint& checkpoint, const EngineOptions& options, const json& tokens,
                      const json& expected, double tolerance, double weightTolerance) {
    test::RunLog log;
    const auto outcome = test::runOnce(checkpoint, options, test::request(tokens.get<std::vector<int>>(), 1), log);

    const auto wanted = expected.at("last_logits").get<std::vector<double>>();
    ASSERT_EQ(outcome.logits.size(), tokens.size() * wanted.size());
    const float* last = outcome.logits.data() + (tokens.size() - 1) * wanted.size();
    double largest = 0, worst = 0;
    for (std::size_t i = 0; i < wanted.size(); ++i) {
        largest = std::max(largest, std::abs(wanted[i]));
        worst = std::max(worst, std::abs(wanted[i] - static_cast<double>(last[i])));
    }
    EXPECT_LE(worst, tolerance * largest);
    testing::Test::RecordProperty("relative_logit_error", std::to_string(worst / largest));

    const json& layers = expected.at("moe_layers");
    const auto topK = layers[0].at("experts")[0].size();
    ASSERT_EQ(log.selections.size(), layers.size() * tokens.size() * topK);
    for (const SelectionRecord& selection : log.selections) {
        const auto token = selection.token.index();
        const auto slot = static_cast<std::size_t>(selection.slot);
        const json& layer = layers[selection.layer.index()];
        EXPECT_EQ(selection.expert.value(), layer.at("experts")[token][slot].get<int>())
            << "layer " << selection.layer.value() << ", token " << token << ", slot " << slot;
        EXPECT_NEAR(selection.weight, layer.at("weights")[token][slot].get<float>(), weightTolerance);
    }
}

class TinyOracle : public testing::TestWithParam<bool> {};

TEST_P(TinyOracle, LogitsExpertsAndWeightsEqualAnIndependentFloat64Implementation) {
    const char* data = std::getenv("EXPERTSCOPE_TEST_DATA");
    if (!data) GTEST_SKIP() << "EXPERTSCOPE_TEST_DATA is not set: the oracle checkpoints are not here.";
    const std::filesystem::path folder = std::filesystem::path(data) / "oracle/qwen3_moe";
    const json expected = json::parse(test::readFile(folder / "expected.json"));
    EngineOptions options;
    options.reference = GetParam();
    expectAsExpected(Checkpoint::open(folder), options, expected.at("tokens"), expected, 1e-4, 1e-5);
}
INSTANTIATE_TEST_SUITE_P(Kernels, TinyOracle, testing::Bool(),
                         [](const auto& run) { return run.param ? "reference" : "vectorised"; });

class DemoModel : public testing::TestWithParam<std::string> {};

TEST_P(DemoModel, LogitsExpertsAndWeightsEqualTheModelsOwnReference) {
    const std::filesystem::path folder = std::filesystem::path(EXPERTSCOPE_RESOURCES) / "demo_model";
    const json expected = json::parse(test::readFile(folder / "expected.json"));
    EngineOptions options;
    options.policy = GetParam();
    const char* mode = GetParam() == "pre-gated" ? "pre_gated" : "standard";
    expectAsExpected(Checkpoint::open(folder), options, expected.at("tokens"), expected.at(mode), 1e-4, 1e-4);
}
INSTANTIATE_TEST_SUITE_P(Routing, DemoModel, testing::Values("resident", "pre-gated"),
                         [](const auto& run) { return run.param == "resident" ? "standard" : "pre_gated"; });

}  // namespace
}  // namespace expertscope
