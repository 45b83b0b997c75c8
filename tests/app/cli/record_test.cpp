// SPDX-License-Identifier: GPL-3.0-or-later
// `expertscope record` over programs that annotate themselves with NVTX.
#include <csignal>
#include <filesystem>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/app/cli/program.h"
#include "tests/storage/sample_records.h"

namespace expertscope::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class Record : public testing::Test {
protected:
    /// Records the annotated program with these words.
    ProgramResult record(const Arguments& words, bool json = true) const {
        Arguments arguments{"record", "--out", m_session};
        if (json) arguments.emplace_back("--json");
        arguments.insert(arguments.end(), {"--", EXPERTSCOPE_NVTX_PROGRAM});
        arguments.insert(arguments.end(), words.begin(), words.end());
        return runProgram(arguments);
    }
    nlohmann::json rows(const std::string& query) const {
        return runProgram({"sql", m_session, query, "--json"}).json().value("rows", nlohmann::json());
    }
    nlohmann::json info() const { return runProgram({"info", m_session, "--json"}).json()["runs"][0]; }

    const expertscope::TemporaryFolder m_folder;
    const std::string m_session = m_folder / "s.esdb";
};

TEST_F(Record, KeepsTheRangesOfAnyProgram) {
    const ProgramResult result = record({"ranges"});
    ASSERT_EQ(result.exitCode, 0) << result.err;
    const nlohmann::json run = result.json()["runs"][0];
    EXPECT_EQ(run["processes"], 1);
    EXPECT_EQ(run["ranges"], 201);
    EXPECT_EQ(run["marks"], 1);
    EXPECT_EQ(run["dropped"], 0);
    const nlohmann::json expected = {{"", "", "done", 1, nullptr},
                                     {"", "", "iteration", 100, nullptr},
                                     {"", "", "over there", 1, nullptr},
                                     {"app", "io", "read file", 100, 4950}};
    EXPECT_EQ(rows("SELECT domain, category, text, count(*), sum(payload) FROM range JOIN range_name USING (run_id, "
                   "name_id) GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"),
              expected);
    const nlohmann::json nested = {{100}};
    EXPECT_EQ(rows("SELECT count(*) FROM range outside JOIN range inside ON outside.start_ns <= inside.start_ns AND "
                   "outside.end_ns >= inside.end_ns AND outside.name_id <> inside.name_id AND inside.payload >= 0 AND "
                   "outside.lane <> inside.lane"),
              nested);
    EXPECT_EQ(info()["state"], "complete");
    EXPECT_EQ(info()["policy"], "recorded");
    EXPECT_THAT(info()["diagnostics"], IsEmpty());
}

TEST_F(Record, EndsWithTheCommandsExitCodeAndLeavesItsOutputAlone) {
    const ProgramResult result = record({"exit", "7"}, false);
    EXPECT_EQ(result.exitCode, 7);
    EXPECT_EQ(result.out, "said on standard output\n");
    EXPECT_EQ(info()["state"], "failed");
    EXPECT_EQ(info()["diagnostics"][0]["name"], "command_failed");
    EXPECT_EQ(info()["diagnostics"][1]["name"], "nvtx_not_used");
}

TEST_F(Record, KeepsEverythingThatCameBeforeACrash) {
    EXPECT_EQ(record({"crash"}).exitCode, 128 + SIGKILL);
    const nlohmann::json expected = {{203, 1}};
    EXPECT_EQ(rows("SELECT count(*), sum(text = 'open at the crash') FROM range JOIN range_name USING (run_id, "
                   "name_id)"),
              expected);
    EXPECT_EQ(info()["state"], "failed");
    EXPECT_THAT(info()["diagnostics"].dump(), HasSubstr("signal 9"));
}

TEST_F(Record, FollowsForkedAndStartedProcesses) {
    const ProgramResult result = record({"children"});
    ASSERT_EQ(result.exitCode, 0) << result.err;
    EXPECT_EQ(result.json()["runs"][0]["processes"], 4);
    const nlohmann::json expected = {
        {"in the child", "made before the fork", 2, 2}, {"iteration", "", 100, 1}, {"parent", "", 1, 1}};
    EXPECT_EQ(rows("SELECT text, domain, count(*), count(DISTINCT lane) FROM range JOIN range_name USING (run_id, "
                   "name_id) WHERE text IN ('parent', 'in the child', 'iteration') GROUP BY 1, 2 ORDER BY 1"),
              expected);
}

TEST_F(Record, GoesOnWithAProgramThatClosesAllDescriptors) {
    EXPECT_EQ(record({"closes"}).exitCode, 0);
    const nlohmann::json expected = {{"after"}, {"before"}, {"in a new thread"}};
    EXPECT_EQ(rows("SELECT text FROM range JOIN range_name USING (run_id, name_id) ORDER BY 1"), expected);
}

TEST_F(Record, KeepsWhatWasRecordedWhenItIsInterrupted) {
    Program program({"record", "--out", m_session, "--", EXPERTSCOPE_NVTX_PROGRAM, "forever"});
    ASSERT_TRUE(program.waitForError("ready"));
    program.signal(SIGINT);
    EXPECT_EQ(program.wait().exitCode, 130);
    EXPECT_EQ(info()["state"], "interrupted");
    const nlohmann::json expected = {{202}};
    EXPECT_EQ(rows("SELECT count(*) FROM range"), expected);
}

/// What both ways of telling choices lead to.
void expectToySelections(const nlohmann::json& rows) {
    const nlohmann::json expected = {{0, 0, 0, "0,1"}, {0, 0, 2, "4,5"}, {0, 1, 0, "2,3"}, {0, 1, 2, "6,7"},
                                     {1, 2, 0, "1,0"}, {1, 2, 2, "7,6"}, {2, 3, 0, "1,0"}, {2, 3, 2, "7,6"}};
    EXPECT_EQ(rows, expected);
}
constexpr const char* kSelections =
    "SELECT step, token, layer, group_concat(expert) FROM (SELECT * FROM selection ORDER BY token, layer, slot) "
    "GROUP BY token, layer ORDER BY token, layer";

TEST_F(Record, MakesSelectionsOfMessages) {
    const ProgramResult result = record({"messages"});
    ASSERT_EQ(result.exitCode, 0) << result.err;
    EXPECT_EQ(result.json()["runs"][0]["selections"], 16);
    expectToySelections(rows(kSelections));
    const nlohmann::json run = info();
    EXPECT_EQ(run["model"]["name"], "toy");
    EXPECT_EQ(run["model"]["layers"], 3);
    EXPECT_EQ(run["model"]["experts"], 8);
    EXPECT_EQ(run["prompt_tokens"], 2);
    EXPECT_EQ(run["generated_tokens"], 2);
    const nlohmann::json weights = {{0.75}, {0.25}};
    EXPECT_EQ(rows("SELECT weight FROM selection WHERE token = 1 AND layer = 0 ORDER BY slot"), weights);
}

TEST_F(Record, MakesTheSameSelectionsOfPayloads) {
    const ProgramResult result = record({"payloads"});
    ASSERT_EQ(result.exitCode, 0) << result.err;
    expectToySelections(rows(kSelections));
    EXPECT_EQ(info()["model"]["experts"], 8);
}

TEST_F(Record, CountsWhatCameFasterThanItCouldBeTaken) {
    const ProgramResult result = record({"flood"});
    ASSERT_EQ(result.exitCode, 0) << result.err;
    const nlohmann::json run = result.json()["runs"][0];
    std::int64_t halves = 0, open = 0, lost = 0;
    const nlohmann::json diagnostics = info()["diagnostics"];
    for (const nlohmann::json& diagnostic : diagnostics) {
        if (diagnostic["name"] == "nvtx_ranges_unmatched") halves += diagnostic["count"].get<std::int64_t>();
        if (diagnostic["name"] == "nvtx_ranges_open") open += diagnostic["count"].get<std::int64_t>();
        if (diagnostic["name"] == "nvtx_events_dropped") lost += diagnostic["count"].get<std::int64_t>();
    }
    EXPECT_EQ(run["dropped"], lost);
    EXPECT_EQ(2 * run["ranges"].get<std::int64_t>() - open + halves + lost, 6'000'000);
    EXPECT_GT(run["ranges"], 20'000);
}

/// Each kind's number of spans, layers and experts in a run of our own, and in the recording of its NVTX ranges.
TEST_F(Record, SeesEverySpanOfOurOwnEngineAsARange) {
    const std::string own = m_folder / "own.esdb";
    const ProgramResult result = runProgram({"record",   "--out",     m_session,  "--",           EXPERTSCOPE_PROGRAM,
                                             "run",      "--model",   "demo",     "--prompt-ids", "84,104,101",
                                             "--tokens", "4",         "--policy", "on-demand",    "--budget",
                                             "25%",      "--threads", "2",        "--out",        own});
    ASSERT_EQ(result.exitCode, 0) << result.err;
    const nlohmann::json spans = runProgram({"sql", own,
                                             "SELECT kind, count(*), count(DISTINCT layer), count(DISTINCT expert), "
                                             "count(DISTINCT step) FROM span GROUP BY kind ORDER BY kind",
                                             "--json"})
                                     .json()["rows"];
    EXPECT_GE(spans.size(), 8U) << spans;
    // Which expert a wait was for is known at its end alone.
    EXPECT_EQ(
        rows("SELECT text, count(*), count(DISTINCT layer), iif(text = 'wait', 0, count(DISTINCT expert)), "
             "count(DISTINCT step) FROM range JOIN range_name USING (run_id, name_id) WHERE domain = 'expertscope' "
             "AND category = text GROUP BY text ORDER BY text"),
        [&] {
            nlohmann::json expected = spans;
            for (nlohmann::json& row : expected)
                if (row[0] == "wait") row[3] = 0;
            return expected;
        }());
    const nlohmann::json sameBytes = {{1}};
    EXPECT_EQ(rows("SELECT min(payload) = max(payload) AND min(payload) > 0 FROM range JOIN range_name USING (run_id, "
                   "name_id) WHERE text = 'transfer-demand'"),
              sameBytes);
    const nlohmann::json told = runProgram({"info", own, "--json"}).json()["runs"][0]["diagnostics"];
    EXPECT_THAT(told.dump(), HasSubstr("nvtx_held_by_other_tool"));
}

TEST_F(Record, RefusesAProgramThatIsNotThere) {
    expectRefused(runProgram({"record", "--out", m_session, "--", "no-such-program"}), 3, {"'no-such-program'"});
    EXPECT_FALSE(std::filesystem::exists(m_session));
}

TEST_F(Record, DrawsEveryViewOfARecordedSession) {
    ASSERT_EQ(record({"messages"}).exitCode, 0);
    ASSERT_EQ(record({"ranges"}).exitCode, 0);
    for (const char* run : {"1", "2"})
        for (const char* view : {"overview", "timeline", "experts", "tokens"}) {
            const std::string picture = m_folder / (std::string(view) + run + ".svg").c_str();
            const ProgramResult drawn =
                runProgram({"render", m_session, "--view", view, "--run", run, "--out", picture});
            EXPECT_EQ(drawn.exitCode, 0) << view << ": " << drawn.err;
            EXPECT_TRUE(std::filesystem::exists(picture)) << view;
        }
}

}  // namespace
}  // namespace expertscope::test
