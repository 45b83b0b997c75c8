// SPDX-License-Identifier: GPL-3.0-or-later
// The commands that look at things: what they print, and how they refuse what is wrong.
#include <gmock/gmock.h>

#include "tests/app/cli/program.h"
#include "tests/engine/model/safetensors_writer.h"

namespace expertscope::test {
namespace {

using testing::Contains;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsSupersetOf;
using testing::StartsWith;

TEST(CommandLine, HasHelpAndVersion) {
    const ProgramResult help = runProgram({"--help"});
    EXPECT_EQ(help.exitCode, 0);
    for (const char* command :
         {"run", "info", "policies", "tokenize", "perplexity", "render", "sql", "export", "open"}) {
        EXPECT_THAT(help.out, HasSubstr(std::string("\n  ") + command)) << command;
        EXPECT_EQ(runProgram({command, "--help"}).exitCode, 0) << command;
    }
    const ProgramResult version = runProgram({"--version"});
    EXPECT_EQ(version.exitCode, 0);
    EXPECT_THAT(version.out, StartsWith("expertscope "));
}

TEST(CommandLine, RefusesWhatItDoesNotKnow) {
    expectRefused(runProgram({"frobnicate"}), 2, {"frobnicate", "perplexity"});
    expectRefused(runProgram({"rewind", "s.esdb"}), 2, {"rewind", "replay"});
    expectRefused(runProgram({"--frobnicate"}), 2, {"--frobnicate"});
    expectRefused(runProgram({"run", "--model", "demo", "--frobnicate"}), 2, {"--frobnicate", "run --help"});
    expectRefused(runProgram({"run", "--prompt", "x"}), 2, {"--model"});
    expectRefused(runProgram({"info"}), 2, {"MODEL|SESSION"});
}

TEST(Policies, AreListedWithWhatAUserMustKnow) {
    auto json = runProgram({"policies", "--json"}).json();
    std::vector<std::string> names;
    for (const auto& policy : json["policies"]) {
        names.push_back(policy["name"]);
        for (const char* key : {"name", "exact", "parameters", "needs", "source"})
            EXPECT_TRUE(policy.contains(key)) << key;
        if (policy["name"] == "pre-gated") { EXPECT_FALSE(policy["exact"].get<bool>()); }
        if (policy["name"] == "on-demand") { EXPECT_TRUE(policy["exact"].get<bool>()); }
    }
    EXPECT_THAT(names, IsSupersetOf({"resident", "on-demand", "prefetch-all", "pre-gated"}));
    names.clear();
    for (const auto& rule : json["evictions"]) {
        names.push_back(rule["name"]);
        EXPECT_EQ(rule["replay_only"].get<bool>(), names.back().starts_with("belady"));
        EXPECT_FALSE(rule["source"].get<std::string>().empty()) << names.back();
        EXPECT_THAT(rule["parameters"].get<std::string>(), HasSubstr("scope=global|layer"));
    }
    EXPECT_THAT(names, ElementsAre("lru", "lfu", "lfu-incache", "lfru", "fifo", "lifo", "slru", "arc", "least-stale",
                                   "moe-infinity", "belady", "belady-bypass"));
    const std::string text = runProgram({"policies"}).out;
    EXPECT_THAT(text, HasSubstr("pre-gated (approximate)"));
    EXPECT_THAT(text, HasSubstr("belady (replay only)"));
    EXPECT_THAT(text, HasSubstr("probation=0.2, scope=global|layer"));
}

TEST(Info, TellsAModelsShapeAndBudgets) {
    auto json = runProgram({"info", "demo", "--json"}).json();
    EXPECT_EQ(json["kind"], "model");
    EXPECT_EQ(json["family"], "qwen3_moe");
    EXPECT_EQ(json["layers"], 8);
    EXPECT_EQ(json["experts"], 32);
    EXPECT_EQ(json["top_k"], 4);
    EXPECT_EQ(json["expert_bytes"], 110592);
    EXPECT_EQ(json["total_expert_bytes"], 256 * 110592);
    EXPECT_EQ(json["token_demand_bytes"], 32 * 110592);
    EXPECT_EQ(json["suggested_budgets"][0]["bytes"], 4 * 110592);
    EXPECT_EQ(json["per_layer"].size(), 8U);
    EXPECT_TRUE(json["per_layer"][6]["pre_gate"]);
    EXPECT_FALSE(json["per_layer"][7]["pre_gate"]);
    EXPECT_GT(json["per_layer"][0]["gate_diversity"].get<double>(), 0.0);
    EXPECT_EQ(json["tokenizer"]["tokens"], 4096);
}

TEST(Info, OfWhatDoesNotExistIsRefused) {
    expectRefused(runProgram({"info", "/no/such/thing"}), 3, {"/no/such/thing"});
    const TemporaryFolder folder;
    expectRefused(runProgram({"info", folder.path()}), 3, {"config.json"});
    writeFile(folder.path() / "s.esdb", "this is no database, but long enough to be looked at by SQLite as one");
    expectRefused(runProgram({"info", folder.path() / "s.esdb"}), 3, {"s.esdb"});
}

TEST(Tokenize, GivesIdsAndPiecesThatJoinToTheText) {
    const std::string text = "int main() { return 0; } Grüße";
    auto json = runProgram({"tokenize", "--model", "demo", "--text", text, "--json"}).json();
    std::string joined;
    for (const auto& piece : json["pieces"])
        joined += piece;
    EXPECT_EQ(joined, text);
    EXPECT_EQ(json["ids"].size(), json["pieces"].size());

    const TemporaryFolder folder;
    writeFile(folder.path() / "t.txt", text);
    EXPECT_EQ(runProgram({"tokenize", "--model", "demo", "--file", folder.path() / "t.txt", "--json"}).json(), json);
}

TEST(Tokenize, NeedsATokenizerAndOneText) {
    const TemporaryFolder folder;
    expectRefused(runProgram({"tokenize", "--model", folder.path(), "--text", "x"}), 3, {folder.path()});
    expectRefused(runProgram({"tokenize", "--model", "demo"}), 2, {"--text", "--file"});
    expectRefused(runProgram({"tokenize", "--model", "demo", "--file", "/no/such/text"}), 3, {"/no/such/text"});
    expectRefused(runProgram({"tokenize", "--model", "demo", "--text", "bad \xff"}), 3, {"UTF-8"});
}

TEST(Tokenize, RefusesTokenizersItCannotRead) {
    const TemporaryFolder folder;
    writeFile(folder.path() / "tokenizer.json", "{\"model\": {\"type\": \"WordPiece\", \"vocab\": {}}}");
    expectRefused(runProgram({"tokenize", "--model", folder.path(), "--text", "x"}), 3, {"WordPiece"});
    writeFile(folder.path() / "tokenizer.json", "no JSON");
    expectRefused(runProgram({"tokenize", "--model", folder.path(), "--text", "x"}), 3, {"tokenizer.json"});
}

TEST(Open, WithoutADisplaySaysWhatToDoInstead) {
    const Surroundings noDisplay{.environment = {"DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"}};
    expectRefused(runProgram({}, noDisplay), 1, {"display", "expertscope run", "tools/start"});
    expectRefused(runProgram({"open", "s.esdb"}, noDisplay), 1, {"display"});
}

TEST(Open, OnADisplayThatDoesNotAnswerSaysSo) {
    const Surroundings deadDisplay{.environment = {"DISPLAY=:4711", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM=xcb"}};
    expectRefused(runProgram({}, deadDisplay), 1, {"display", "expertscope run"});
}

}  // namespace
}  // namespace expertscope::test
