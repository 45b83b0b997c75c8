// SPDX-License-Identifier: GPL-3.0-or-later
// Perplexity of the demo model against the figures of the float32 reference that trained it.
#include <filesystem>

#include <gmock/gmock.h>

#include "tests/app/cli/program.h"
#include "tests/engine/model/safetensors_writer.h"

namespace expertscope::test {
namespace {

namespace fs = std::filesystem;

class PerplexityOf : public testing::TestWithParam<const char*> {};

TEST_P(PerplexityOf, IsTheReferencesInBothWaysOfRouting) {
    const fs::path text = fs::path(EXPERTSCOPE_TEST_TEXTS) / (std::string(GetParam()) + ".val.txt");
    const auto figures =
        nlohmann::json::parse(readFile(fs::path(EXPERTSCOPE_TEST_RESOURCES) / "demo_model" / "figures.json"));
    auto& reference = figures[GetParam()];
    const char* policies[] = {"resident", "pre-gated"};
    for (std::size_t mode = 0; mode < 2; ++mode) {
        auto json = runProgram({"perplexity", "--model", "demo", "--file", text, "--context", "256", "--windows", "40",
                                "--policy", policies[mode], "--json"})
                        .json();
        EXPECT_EQ(json["tokens"], reference["tokens"]);
        EXPECT_NEAR(json["perplexity"].get<double>() / reference["perplexity"][mode].get<double>(), 1, 0.01);
        EXPECT_NEAR(json["bits_per_byte"].get<double>() / reference["bits_per_byte"][mode].get<double>(), 1, 0.01);
    }
}

INSTANTIATE_TEST_SUITE_P(Domain, PerplexityOf, testing::Values("cpp", "scripture"),
                         [](const auto& domain) { return std::string(domain.param); });

TEST(Perplexity, MeasuresFidelityOfApproximatePoliciesUnasked) {
    const fs::path text = fs::path(EXPERTSCOPE_TEST_TEXTS) / "python.val.txt";
    const Arguments base{"perplexity", "--model", "demo",      "--file", text,
                         "--context",  "64",      "--windows", "4",      "--json"};
    auto run = [&base](const Arguments& more) {
        Arguments arguments = base;
        arguments.insert(arguments.end(), more.begin(), more.end());
        return runProgram(arguments).json();
    };
    auto resident = run({});
    EXPECT_TRUE(resident["exact"]);
    EXPECT_TRUE(resident["fidelity"].is_null());
    auto preGated = run({"--policy", "pre-gated", "--budget", "50%"});
    EXPECT_FALSE(preGated["exact"]);
    EXPECT_EQ(preGated["fidelity"]["resident_perplexity"], resident["perplexity"]);
    EXPECT_EQ(preGated["fidelity"]["perplexity"], preGated["perplexity"]);
    EXPECT_GT(preGated["fidelity"]["kl"].get<double>(), 0.0);
    auto onDemand = run({"--policy", "on-demand", "--budget", "10%", "--fidelity"});
    EXPECT_EQ(onDemand["perplexity"], resident["perplexity"]);
    EXPECT_EQ(onDemand["fidelity"]["kl"], 0);
}

TEST(Perplexity, RefusesWhatItCannotScore) {
    const TemporaryFolder folder;
    writeFile(folder.path() / "a.txt", "a");
    const Arguments base{"perplexity", "--model", "demo", "--file", folder.path() / "a.txt"};
    expectRefused(runProgram(base), 3, {"a.txt", "two tokens"});
    const auto with = [&base](const Arguments& more) {
        Arguments arguments = base;
        arguments.insert(arguments.end(), more.begin(), more.end());
        return arguments;
    };
    expectRefused(runProgram(with({"--context", "257"})), 2, {"257", "256"});
    expectRefused(runProgram(with({"--policy", "resident,on-demand"})), 2, {"one policy"});
    expectRefused(runProgram(with({"--policy", "magic"})), 2, {"magic"});
    expectRefused(runProgram({"perplexity", "--model", "demo", "--file", "/no/such/text"}), 3, {"/no/such/text"});
}

}  // namespace
}  // namespace expertscope::test
