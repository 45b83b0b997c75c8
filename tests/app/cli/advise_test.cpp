// SPDX-License-Identifier: GPL-3.0-or-later
// advise, as a person and a script use it.
#include <filesystem>

#include <gmock/gmock.h>

#include "app/cli/advice_output.h"
#include "tests/app/cli/program.h"
#include "tests/engine/model/safetensors_writer.h"

namespace expertscope::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

/// A session with one exact run of the demo model, made once.
class Advise : public testing::Test {
protected:
    static void SetUpTestSuite() {
        s_folder = std::make_unique<TemporaryFolder>();
        s_session = s_folder->path() / "s.esdb";
        const ProgramResult made = runProgram({"run", "--model", "demo", "--prompt", "In the beginning", "--tokens",
                                               "24", "--policy", "on-demand", "--budget", "25%", "--link",
                                               "400MB/s@20us", "--progress", "none", "--json", "--out", s_session});
        ASSERT_EQ(made.exitCode, 0) << made.err;
    }
    static void TearDownTestSuite() { s_folder.reset(); }
    inline static std::unique_ptr<TemporaryFolder> s_folder;
    inline static fs::path s_session;
};

TEST_F(Advise, NamesOneChoiceWithItsEvidenceAndCommandsThatRun) {
    const auto json = runProgram({"advise", s_session, "--memory", "12MiB", "--link", "400MB/s@20us", "--json"}).json();
    const auto& advice = json["advice"];
    EXPECT_TRUE(advice["exact"].get<bool>());  // no approximate policy's fidelity was measured
    EXPECT_LE(advice["budget_bytes"].get<std::int64_t>(), json["expert_budget_bytes"].get<std::int64_t>());
    EXPECT_LE(advice["interval"][0].get<double>(), advice["decode_tokens_per_s"].get<double>());
    EXPECT_GE(advice["interval"][1].get<double>(), advice["decode_tokens_per_s"].get<double>());
    EXPECT_LE(json["runner_up"]["decode_tokens_per_s"].get<double>(),
              advice["decode_tokens_per_s"].get<double>() * 1.01);
    EXPECT_GT(json["evidence"]["replays"].get<int>(), 10);
    bool preGatedLeftOut = false;
    for (const auto& passed : json["evidence"]["not_considered"])
        preGatedLeftOut = preGatedLeftOut || passed["policy"] == "pre-gated";
    EXPECT_TRUE(preGatedLeftOut);

    // What it says to run can be run.
    const std::string policy = advice["policy"], eviction = advice["eviction"];
    EXPECT_EQ(runProgram({"run", "--model", "demo", "--prompt", "a", "--tokens", "2", "--policy", policy, "--eviction",
                          eviction, "--budget", std::to_string(advice["budget_bytes"].get<std::int64_t>()),
                          "--progress", "none"})
                  .exitCode,
              0);
}

TEST_F(Advise, TellsAPersonWhatToUseAndWhatElseThereIs) {
    const ProgramResult told = runProgram({"advise", s_session, "--memory", "12MiB"});
    EXPECT_EQ(told.exitCode, 0) << told.err;
    EXPECT_THAT(told.out, HasSubstr("Use "));
    EXPECT_THAT(told.out, HasSubstr("Runner-up: "));
    EXPECT_THAT(told.out, HasSubstr("llama-cli"));
    EXPECT_THAT(told.out, HasSubstr("--kt-num-gpu-experts"));
}

TEST_F(Advise, RefusesAMemoryThatHoldsNoExpert) {
    expectRefused(runProgram({"advise", s_session, "--memory", "100KiB"}), 2, {"--memory"});
    expectRefused(runProgram({"advise", s_session, "--memory", "lots"}), 2, {"--memory", "lots"});
    expectRefused(runProgram({"advise", s_folder->path() / "none.esdb", "--memory", "1GiB"}), 3, {"none.esdb"});
}

TEST(AdviceCommands, KeepTheFirstLayersOnTheCpuAsFarAsTheBudgetFallsShort) {
    ModelFacts model;
    model.layers = 8;
    model.experts = 32;
    model.expertBytes = Bytes(1000);
    // 32,000 bytes a layer: 100,000 hold three whole layers.
    EXPECT_EQ(llamaCppCommand(model, Bytes(100'000)), "llama-cli -m MODEL.gguf -ngl 99 --n-cpu-moe 5");
    EXPECT_THAT(llamaCppOverride(model, Bytes(100'000)), HasSubstr("blk\\.(0|1|2|3|4)\\.ffn_"));
    EXPECT_EQ(llamaCppCommand(model, Bytes(256'000)), "llama-cli -m MODEL.gguf -ngl 99 --n-cpu-moe 0");
    // 100 experts over 8 layers.
    EXPECT_THAT(kTransformersCommand(model, Bytes(100'000)), HasSubstr("--kt-num-gpu-experts 12 "));
}

}  // namespace
}  // namespace expertscope::test
