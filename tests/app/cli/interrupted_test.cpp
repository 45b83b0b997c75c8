// SPDX-License-Identifier: GPL-3.0-or-later
// Runs that end early: what was recorded until then is kept, and the session says how it ended.
#include <filesystem>

#include <gmock/gmock.h>
#include <signal.h>

#include "tests/app/cli/program.h"
#include "tests/engine/model/safetensors_writer.h"

namespace expertscope::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

/// Generates for longer than any test waits, over a link that takes its time.
Arguments longRun(const fs::path& session) {
    return {"run",       "--model",  "demo",   "--prompt",      "In the beginning", "--tokens", "250", "--policy",
            "on-demand", "--budget", "512KiB", "--link",        "20MB/s@10us",      "--repeat", "20",  "--progress",
            "json",      "--json",   "--out",  session.string()};
}

class InterruptedBy : public testing::TestWithParam<int> {};

TEST_P(InterruptedBy, ASignalKeepsTheSession) {
    const TemporaryFolder folder;
    const fs::path session = folder.path() / "s.esdb";
    Program program(longRun(session));
    ASSERT_TRUE(program.waitForError("\"event\":\"progress\""));
    program.signal(GetParam());
    const ProgramResult result = program.wait();
    EXPECT_EQ(result.exitCode, 130) << result.err;
    EXPECT_THAT(result.err, HasSubstr("expertscope: The run was interrupted"));
    auto run = result.json()["runs"].back();
    EXPECT_EQ(run["stopped"], "interrupted");
    EXPECT_GT(run["generated_tokens"].get<int>(), 0);
    EXPECT_LT(run["generated_tokens"].get<int>(), 250);

    auto info = runProgram({"info", session, "--json"}).json();
    EXPECT_EQ(info["runs"].size(), result.json()["runs"].size());
    EXPECT_EQ(info["runs"].back()["state"], "interrupted");
    EXPECT_EQ(info["runs"].back()["generated_tokens"], run["generated_tokens"]);
    EXPECT_FALSE(fs::exists(session.string() + "-wal"));
}

INSTANTIATE_TEST_SUITE_P(Run, InterruptedBy, testing::Values(SIGINT, SIGTERM),
                         [](const auto& signal) { return signal.param == SIGINT ? "CtrlC" : "Termination"; });

TEST(Killed, RunReadsAsCrashedAndCanBeAppendedTo) {
    const TemporaryFolder folder;
    const fs::path session = folder.path() / "s.esdb";
    {
        Program program(longRun(session));
        ASSERT_TRUE(program.waitForError("\"event\":\"progress\"", 10));  // of a token or more each
        program.signal(SIGKILL);
        EXPECT_EQ(program.wait().exitCode, 128 + SIGKILL);
    }
    auto info = runProgram({"info", session, "--json"}).json();
    ASSERT_GE(info["runs"].size(), 1U);
    EXPECT_EQ(info["runs"].back()["state"], "crashed");
    EXPECT_GT(info["runs"].back()["recorded_tokens"].get<int>(), 8);

    const ProgramResult again = runProgram(
        {"run", "--model", "demo", "--prompt", "x", "--tokens", "2", "--progress", "none", "--json", "--out", session});
    EXPECT_EQ(again.exitCode, 0) << again.err;
    auto after = runProgram({"info", session, "--json"}).json();
    EXPECT_EQ(after["runs"].size(), info["runs"].size() + 1);
    EXPECT_EQ(after["runs"].back()["state"], "complete");
}

TEST(Killed, RunKeepsTheSumsOfItsDeepCapture) {
    const TemporaryFolder folder;
    const fs::path session = folder.path() / "s.esdb";
    Arguments arguments = longRun(session);
    arguments.insert(arguments.end(), {"--record", "routing,deep:raw=4GiB"});
    {
        Program program(arguments);
        // A tenth of a second each at least: the sums are written every three.
        ASSERT_TRUE(program.waitForError("\"event\":\"progress\"", 40));
        program.signal(SIGKILL);
        EXPECT_EQ(program.wait().exitCode, 128 + SIGKILL);
    }
    const auto table = runProgram({"analyze", session, "--run", "1", "--what", "expert-norms", "--json"})
                           .json()["analyses"]["expert-norms"];
    EXPECT_EQ(table["rows"].size(), 8U * 32);
    EXPECT_THAT(table["counted"].get<std::string>(), HasSubstr("the run had not ended when this was kept"));
    const auto count = [&](const std::string& query) {
        return runProgram({"sql", session, query, "--json"}).json()["rows"][0][0].get<int>();
    };
    const int vectors = count("select sum(rows) from deep_vector where run_id = 1 and layer = 7 and name = 'outputs'");
    EXPECT_THAT(table["counted"].get<std::string>(),
                HasSubstr("true inputs of " + std::to_string(vectors) + " tokens"));
    EXPECT_GT(vectors, 4);
    EXPECT_LE(vectors, count("select count(*) from token where run_id = 1"));
}

/// A file system of its own would need privileges; a limit on the size of files fails the same writes.
TEST(FullDisk, EndsTheRunWithASentence) {
    const TemporaryFolder folder;
    const fs::path session = folder.path() / "s.esdb";
    Arguments arguments = longRun(session);
    const ProgramResult result = runProgram(arguments, {.environment = {}, .largestFile = 400'000});
    EXPECT_EQ(result.exitCode, 1) << result.err;
    EXPECT_THAT(result.err, HasSubstr("\nexpertscope: "));
    EXPECT_THAT(result.err, HasSubstr("s.esdb"));
    EXPECT_EQ(result.out, "");
}

}  // namespace
}  // namespace expertscope::test
