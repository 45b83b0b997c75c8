// SPDX-License-Identifier: GPL-3.0-or-later
// analyze of a model's weights, as scripts use it.
#include <gmock/gmock.h>

#include "tests/app/cli/program.h"
#include "tests/engine/model/safetensors_writer.h"

namespace expertscope::test {
namespace {

using testing::HasSubstr;

nlohmann::json analyzeModel(const std::string& model, const std::string& what, const Arguments& more = {}) {
    Arguments arguments{"analyze", model, "--what", what, "--json"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return runProgram(arguments).json()["analyses"];
}

TEST(AnalyzeWeights, TakesTheBundledModelByItsName) {
    const auto tables = analyzeModel("demo", "layer-diversity,weight-similarity:layer=7,gate-regression");
    ASSERT_EQ(tables.size(), 3U);
    EXPECT_EQ(tables["layer-diversity"]["rows"].size(), 8U * 7U) << "layers × measures";
    EXPECT_EQ(tables["weight-similarity:layer=7"]["rows"].size(), 32U * 31U / 2U);
    EXPECT_THAT(tables["gate-regression"]["counted"].get<std::string>(), HasSubstr("8 layers with 32 experts of 96"));
}

TEST(AnalyzeWeights, ComparesWithADenseModel) {
    const TemporaryFolder model, dense;
    const TinyQwen3Moe options{.layers = 2, .experts = 3};
    writeTinyQwen3Moe(model.path(), options);
    // The FFN of layer 1 is expert 2 of that layer.
    std::vector<RawTensor> tensors;
    const std::string expert = "model.layers.1.mlp.experts.2.";
    for (RawTensor tensor : tinyTensors(options)) {
        if (!tensor.name.starts_with(expert)) continue;
        tensor.name = "model.layers.1.mlp." + tensor.name.substr(expert.size());
        tensors.push_back(tensor);
    }
    writeTensors(dense.path(), tensors);
    const auto rows =
        analyzeModel(model.path(), "weight-similarity", {"--dense", dense.path()})["weight-similarity"]["rows"];
    ASSERT_EQ(rows.size(), 3U + 6U) << "layer 0 has no F";
    EXPECT_EQ(rows.back()[1], 2);
    EXPECT_EQ(rows.back()[2], "F");
    EXPECT_NEAR(rows.back()[3].get<double>(), 1, 1e-6);
}

TEST(AnalyzeWeights, SaysWhatItCannotDo) {
    const TemporaryFolder empty;
    expectRefused(runProgram({"analyze", "demo", "--what", "weight-norms", "--dense", empty.path()}), 3,
                  {"safetensors"});
    expectRefused(runProgram({"analyze", "demo", "--what", "weight-norms:layer=8"}), 2, {"layer", "7"});
    expectRefused(runProgram({"analyze", "demo", "--what", "balance"}), 2, {"balance", "session"});
}

}  // namespace
}  // namespace expertscope::test
