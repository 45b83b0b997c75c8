// SPDX-License-Identifier: GPL-3.0-or-later
// The analyses that run lone tokens through a model, split a dense one or look at sizes: against the engine, known
// figures, and models that are awkward. Their numpy vectors are compared in weight_vectors_test.cpp.
#include <cmath>
#include <limits>
#include <map>
#include <numbers>

#include <gmock/gmock.h>

#include "engine/base/error.h"
#include "engine/compute/thread_pool.h"
#include "engine/inference/engine.h"
#include "profiler/analysis/weights/dense_split.h"
#include "profiler/analysis/weights/expert_count_cost.h"
#include "profiler/analysis/weights/lone_tokens.h"
#include "profiler/analysis/weights/minimum_capacity.h"
#include "tests/engine/model/safetensors_writer.h"
#include "tests/profiler/analysis/tiny_model.h"

namespace expertscope {
namespace {

using namespace test;
using testing::HasSubstr;

double real(const AnalysisTable& table, std::size_t row, std::size_t column) {
    return std::get<double>(table.rows.at(row).at(column));
}

TEST(LoneTokens, SeeWhatTheEnginesRoutersSeeInPromptsOfOneToken) {
    const Checkpoint checkpoint = Checkpoint::open(analysisFolder("models/plain"));
    const std::vector<std::int32_t> ids = drawnTokens(checkpoint.config().vocabulary, 5);
    EXPECT_EQ(ids, (std::vector<std::int32_t>{0, 4, 9, 14, 19}));
    std::map<int, std::vector<float>> seen;
    Observer nobody;
    EngineOptions options;
    options.threads = 1;
    options.record = {.routing = false, .spans = false, .norms = false, .predictions = false};
    Engine engine(checkpoint, nullptr, options, nobody);
    engine.start();
    engine.tapRouters([&](LayerIndex layer, int, std::span<const float> inputs, std::span<const float>) {
        seen[layer.value()].insert(seen[layer.value()].end(), inputs.begin(), inputs.end());
    });
    for (const std::int32_t id : ids)
        engine.score(std::array{id}, [](int, int, std::span<const float>) {});
    const ExpertMatrices weights(checkpoint);
    ThreadPool pool(2);
    int layers = 0;
    routeLoneTokens(weights, ids, LayerIndex(2), pool, [&](const LoneRouting& routing) {
        ++layers;
        const std::vector<float>& wanted = seen[routing.layer.value()];
        ASSERT_EQ(routing.inputs.size(), wanted.size());
        for (std::size_t i = 0; i < wanted.size(); ++i)
            ASSERT_NEAR(routing.inputs[i], wanted[i], 1e-4) << "layer " << routing.layer.value() << ", value " << i;
    });
    EXPECT_EQ(layers, 3);
}

TEST(LoneTokens, LeaveOutTokensWithValuesThatAreNoNumbers) {
    const TinyModel broken({.layers = 2}, [](RawTensor& tensor) {
        if (tensor.name == "model.embed_tokens.weight") setFirst(tensor, std::numeric_limits<float>::quiet_NaN());
    });
    const AnalysisTable table = analyse("minimum-capacity", broken.open());
    EXPECT_EQ(table.rows.at(0).at(1), AnalysisCell{std::int64_t{96}}) << "of 97, the first is broken";
    EXPECT_TRUE(std::isfinite(real(table, 1, 2)));
    EXPECT_THAT(table.counted, HasSubstr("Left out: 2 tokens by layer"));
}

TEST(MultiHeadModels, HaveTheirWeightsAnalysedAndAreRefusedByTheEngine) {
    const Checkpoint heads = Checkpoint::open(analysisFolder("models/heads"));
    EXPECT_EQ(heads.config().subTokens, 4);
    EXPECT_EQ(analyse("weight-similarity:layer=0", heads).rows.size(), 15U);
    EXPECT_THAT(analyse("weight-norms", heads).counted, HasSubstr("10 neurons and 6 inputs"));
    Observer nobody;
    EXPECT_THROW(Engine(heads, nullptr, EngineOptions{}, nobody), BadInputError);
    const AnalysisTable none = analyse("sub-token-routing", Checkpoint::open(analysisFolder("models/plain")));
    EXPECT_TRUE(none.rows.empty());
    EXPECT_THAT(none.counted, HasSubstr("routes whole tokens"));
}

TEST(MultiHeadModels, AreRefusedWhereTheirHeadsDoNotDivideTheToken) {
    const TemporaryFolder folder;
    std::string config = readFile(analysisFolder("models/heads") / "config.json");
    const std::string key = "\"num_moe_heads\": 4";
    config.replace(config.find(key), key.size(), "\"num_moe_heads\": 5");
    writeFile(folder.path() / "config.json", config);
    writeFile(folder.path() / "model.safetensors", readFile(analysisFolder("models/heads") / "model.safetensors"));
    EXPECT_THROW(Checkpoint::open(folder.path()), BadInputError);
}

TEST(MinimumCapacity, KnowsTheShareOfDirectionsInPlaces) {
    // d = 3: the cap's area is linear in its height; d = 2: arcs of a circle.
    EXPECT_NEAR(std::exp(logFarShare(0.25, 3)), 0.75, 1e-12);
    EXPECT_NEAR(std::exp(logFarShare(0.5, 2)), 2.0 / 3, 1e-12);
    EXPECT_EQ(logFarShare(0, 100), 0);
    EXPECT_EQ(logFarShare(1, 100), -std::numeric_limits<double>::infinity());
    EXPECT_TRUE(std::isnan(logFarShare(0.5, 1)));
    // LocMoE: at δ near 1/√d about 0.3 of the directions; far out the logarithm still holds.
    EXPECT_NEAR(std::exp(logFarShare(1 / std::sqrt(4096.0), 4096)), 0.3173, 1e-3);
    EXPECT_NEAR(logFarShare(0.9, 4096), 2047.5 * std::log(0.19), 10);
    // One direction has a mean cosine of 0; of many on a circle the nearest is near.
    EXPECT_NEAR(randomLargestCosine(1, 64), 0, 1e-9);
    EXPECT_GT(randomLargestCosine(100, 2), 0.99);
    EXPECT_NEAR(randomLargestCosine(2, 3), 1.0 / 3, 1e-6) << "the larger of two uniform numbers of −1…1";
}

TEST(ExpertCountCost, GivesTheFiguresOfThePapers) {
    const ExpertScalingLaw law = ExpertScalingLaw::published("s-base");
    // "5M parameters with 128 experts ≈ a dense model of 55M" (arXiv 2202.01169, figure 1); constants have 3 digits.
    EXPECT_NEAR(law.parametersFor(law.logLoss(5e6, 128), 1) / 55e6, 1, 0.1);
    // Routing stops to help at 937 billion parameters (table 4's cut-off), 85 for RL-R, 83 for HASH.
    EXPECT_NEAR(std::pow(10, -law.b / law.c) / 937e9, 1, 0.1);
    const ExpertScalingLaw rl = ExpertScalingLaw::published("rl-r"), hash = ExpertScalingLaw::published("hash");
    EXPECT_NEAR(std::log10(85e9), -rl.b / rl.c, 0.45);
    EXPECT_NEAR(std::log10(83e9), -hash.b / hash.c, 0.45);
    EXPECT_NEAR(law.logSaturated(1), std::log10(law.start), 1e-12) << "a dense model counts as `start` experts";
    const ServedModel model{.parameters = 1e9, .expertShare = 1.0 / 3, .expansion = 32, .contextBytes = 1e5};
    EXPECT_NEAR(model.totalParameters() / 1e9, 11.33, 0.01) << "(1 + 31/3) N (arXiv 2404.02852, section 4)";
    EXPECT_EQ(servingCost(model, {.memory = 1e9, .gpus = 8}).gpus, 0) << "22.7 GB of weights";
    EXPECT_EQ(servingCost(model, {.memory = 6e9, .gpus = 3}).gpus, 0)
        << "two have not enough, and three are no power of 2";
    EXPECT_EQ(servingCost(model, {.memory = 6e9, .gpus = 5}).gpus, 4);
}

TEST(ExpertCountCost, LeavesTheCostEmptyWhereAModelFitsNowhere) {
    const Checkpoint checkpoint = Checkpoint::open(analysisFolder("models/plain"));
    const AnalysisTable table = analyse("expert-count-cost:memory=0.001:gpus=1:context=100000", checkpoint);
    EXPECT_EQ(table.rows.at(0).at(6), AnalysisCell{});
    EXPECT_TRUE(std::isnan(real(table, 0, 9)));
    EXPECT_TRUE(std::isfinite(real(table, 0, 4))) << "its loss is known all the same";
}

TEST(DenseSplit, FindsGroupsThatAreThere) {
    std::vector<float> neurons;
    for (int n = 0; n < 30; ++n)
        neurons.insert(neurons.end(),
                       {n % 3 == 0 ? 5.0F : 0.0F, n % 3 == 1 ? 5.0F : 0.0F, 0.01F * static_cast<float>(n)});
    const NeuronSplit random = randomSplit(30, 3, 1), found = clusteredSplit(neurons, random, 3, 20);
    EXPECT_LT(withinExperts(neurons, found, 3), 0.01);
    EXPECT_GT(withinExperts(neurons, random, 3), 0.5);
    for (int n = 3; n < 30; ++n)
        EXPECT_EQ(found[static_cast<std::size_t>(n)], found[static_cast<std::size_t>(n % 3)]);
    EXPECT_NEAR(withinExperts(neurons, NeuronSplit(30, 0), 1), 1, 1e-12);
}

TEST(DenseSplit, GivesEveryExpertAsManyNeuronsToOne) {
    std::vector<float> neurons(50);
    for (std::size_t n = 0; n < neurons.size(); ++n)
        neurons[n] = n < 45 ? 0.0F : static_cast<float>(n);
    for (const NeuronSplit& split : {randomSplit(50, 7, 3), clusteredSplit(neurons, randomSplit(50, 7, 3), 7, 20)}) {
        std::map<std::int32_t, int> sizes;
        for (const std::int32_t expert : split)
            ++sizes[expert];
        ASSERT_EQ(sizes.size(), 7U);
        for (const auto& [expert, size] : sizes)
            EXPECT_THAT(size, testing::AnyOf(7, 8)) << expert;
    }
    EXPECT_TRUE(std::isnan(withinExperts(std::vector<float>(8, 1.0F), NeuronSplit(8, 0), 1))) << "all alike";
}

TEST(DenseSplit, SaysWhatItLacks) {
    const TinyModel model({.layers = 1});
    EXPECT_THAT(analyse("dense-split", model.open()).counted, HasSubstr("--dense FOLDER"));
    EXPECT_TRUE(analyse("dense-split", model.open()).rows.empty());
    EXPECT_THROW(analyse("dense-split:experts=4:keep=5", model.open()), UsageError);
}

}  // namespace
}  // namespace expertscope
