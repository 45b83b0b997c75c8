// SPDX-License-Identifier: GPL-3.0-or-later
// Checkpoints and requests that cannot run: each is refused with one sentence before anything is recorded.
#include <filesystem>

#include <gmock/gmock.h>

#include "tests/app/cli/program.h"
#include "tests/engine/model/safetensors_writer.h"

namespace expertscope::test {
namespace {

namespace fs = std::filesystem;

/// A tiny checkpoint that can be spoilt, and a session that must not come to be.
class BadCheckpoint : public testing::Test {
protected:
    BadCheckpoint() : m_model(m_folder.path() / "model"), m_session(m_folder.path() / "s.esdb") {
        fs::create_directory(m_model);
        writeTinyQwen3Moe(m_model);
    }

    ProgramResult run(const Arguments& more = {"--prompt-ids", "1,2,3"}) const {
        Arguments arguments{"run",   "--model", m_model,  "--tokens",   "2",
                            "--out", m_session, "--json", "--progress", "none"};
        arguments.insert(arguments.end(), more.begin(), more.end());
        return runProgram(arguments);
    }
    void expectRefusedEarly(const ProgramResult& result, int exitCode, const std::vector<std::string>& words) const {
        expectRefused(result, exitCode, words);
        EXPECT_FALSE(fs::exists(m_session));
    }
    void changeConfig(const std::string& key, const nlohmann::json& value) const {
        auto config = nlohmann::ordered_json::parse(readFile(m_model / "config.json"));
        config[key] = value;
        writeFile(m_model / "config.json", config.dump());
    }

    const TemporaryFolder m_folder;
    const fs::path m_model;
    const fs::path m_session;
};

TEST_F(BadCheckpoint, UnspoiltRuns) { EXPECT_EQ(run().exitCode, 0); }

TEST_F(BadCheckpoint, MissingIsNamed) {
    fs::remove_all(m_model);
    expectRefusedEarly(run(), 3, {m_model});
}

TEST_F(BadCheckpoint, WithoutWeightsIsRefused) {
    fs::remove(m_model / "model.safetensors");
    expectRefusedEarly(run(), 3, {"safetensors"});
}

TEST_F(BadCheckpoint, TruncatedIsRefused) {
    fs::resize_file(m_model / "model.safetensors", fs::file_size(m_model / "model.safetensors") - 100);
    expectRefusedEarly(run(), 3, {"model.safetensors"});
    fs::resize_file(m_model / "model.safetensors", 5);
    expectRefusedEarly(run(), 3, {"model.safetensors"});
}

TEST_F(BadCheckpoint, LyingAboutItsHeaderIsRefused) {
    std::string bytes = readFile(m_model / "model.safetensors");
    bytes[6] = '\x7f';
    writeFile(m_model / "model.safetensors", bytes);
    expectRefusedEarly(run(), 3, {"model.safetensors"});
}

TEST_F(BadCheckpoint, LyingAboutOffsetsIsRefused) {
    auto tensors = tinyTensors({});
    tensors.front().data.resize(tensors.front().data.size() - 2);
    writeTensors(m_model, tensors);
    expectRefusedEarly(run(), 3, {tensors.front().name});
}

TEST_F(BadCheckpoint, LyingAboutShapesIsRefused) {
    changeConfig("moe_intermediate_size", 24);
    expectRefusedEarly(run(), 3, {"experts"});
}

TEST_F(BadCheckpoint, WithAnUnsupportedTypeIsRefused) {
    auto tensors = tinyTensors({});
    for (RawTensor& tensor : tensors) {
        if (tensor.name == "model.norm.weight") tensor.dtype = "I16";
    }
    writeTensors(m_model, tensors);
    expectRefusedEarly(run(), 3, {"model.norm.weight", "I16"});
}

TEST_F(BadCheckpoint, OfAnUnsupportedArchitectureIsNamedWithWhatIsSupported) {
    changeConfig("model_type", "mixtral");
    changeConfig("architectures", {"MixtralForCausalLM"});
    expectRefusedEarly(run(), 3, {"ixtral", "Qwen3-MoE"});
}

TEST_F(BadCheckpoint, WithoutTokenizerRunsOnlyWithIds) {
    expectRefusedEarly(run({"--prompt", "hello"}), 3, {"tokenizer", "--prompt-ids"});
}

TEST_F(BadCheckpoint, WithAnotherModelsTokenizerIsRefused) {
    fs::copy_file(fs::path(EXPERTSCOPE_TEST_RESOURCES) / "demo_model" / "tokenizer.json", m_model / "tokenizer.json");
    expectRefusedEarly(run(), 3, {"tokenizer", "4096", "97"});
}

TEST_F(BadCheckpoint, WithWeightsThatAreNoNumbersFailsAndKeepsTheRun) {
    auto tensors = tinyTensors({});
    for (RawTensor& tensor : tensors) {
        if (tensor.name.find("layers.1.mlp.experts.") == std::string::npos) continue;
        if (tensor.name.ends_with("down_proj.weight")) tensor.data.assign(tensor.data.size(), '\xff');  // bf16 NaN
    }
    writeTensors(m_model, tensors);
    expectRefused(run(), 1, {"layer 1", "expert"});
    auto session = runProgram({"info", m_session, "--json"}).json();
    EXPECT_EQ(session["runs"][0]["state"], "failed");
}

TEST_F(BadCheckpoint, IsNotBlamedForAPromptThatDoesNotFit) {
    std::string ids = "1";
    for (int i = 0; i < 64; ++i)
        ids += ",1";
    expectRefusedEarly(run({"--prompt-ids", ids}), 3, {"65", "64"});
    expectRefusedEarly(run({"--prompt-ids", "1,97"}), 3, {"97"});
    expectRefusedEarly(run({"--prompt-ids", "-1"}), 3, {"-1"});
    expectRefusedEarly(run({"--prompt-ids", "one"}), 2, {"one"});
}

}  // namespace
}  // namespace expertscope::test
