// SPDX-License-Identifier: GPL-3.0-or-later
// The commands that read a session: sql, export, render, info.
#include <filesystem>

#include <gmock/gmock.h>
#include <sqlite3.h>

#include "tests/app/cli/program.h"
#include "tests/engine/model/safetensors_writer.h"

namespace expertscope::test {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

/// A session with two runs of the demo model, made once.
class Session : public testing::Test {
protected:
    static void SetUpTestSuite() {
        s_folder = std::make_unique<TemporaryFolder>();
        s_session = s_folder->path() / "s.esdb";
        const ProgramResult made =
            runProgram({"run", "--model", "demo", "--prompt", "In the beginning", "--tokens", "20", "--policy",
                        "on-demand,pre-gated", "--budget", "25%", "--progress", "none", "--json", "--out", s_session});
        ASSERT_EQ(made.exitCode, 0) << made.err;
        s_summary = made.json();
    }
    static void TearDownTestSuite() { s_folder.reset(); }

    static nlohmann::json sql(const std::string& query) {
        return runProgram({"sql", s_session, query, "--json"}).json();
    }

    inline static std::unique_ptr<TemporaryFolder> s_folder;
    inline static fs::path s_session;
    inline static nlohmann::json s_summary;
};

TEST_F(Session, SqlAgreesWithTheRunsSummary) {
    for (int run = 1; run <= 2; ++run) {
        const std::string where = " where run_id = " + std::to_string(run);
        auto& summary = s_summary["runs"][static_cast<std::size_t>(run) - 1];
        EXPECT_EQ(sql("select count(*) from selection" + where)["rows"][0][0], summary["recording"]["selections"]);
        EXPECT_EQ(sql("select count(*) from span" + where)["rows"][0][0], summary["recording"]["spans"]);
        EXPECT_EQ(sql("select count(*) from token" + where)["rows"][0][0],
                  summary["prompt_tokens"].get<int>() + summary["generated_tokens"].get<int>());
    }
}

TEST_F(Session, SqlHasTheDocumentedColumns) {
    auto json = sql("select run_id, token, layer, slot, expert, weight, outcome from selection limit 1");
    EXPECT_EQ(json["columns"], (nlohmann::json{"run_id", "token", "layer", "slot", "expert", "weight", "outcome"}));
    EXPECT_EQ(json["rows"].size(), 1U);
}

TEST_F(Session, SqlTextIsTabSeparatedInAPipe) {
    const ProgramResult result = runProgram({"sql", s_session, "select 1 as a, 'x' as b union select 2, null"});
    EXPECT_EQ(result.exitCode, 0);
    EXPECT_EQ(result.out, "a\tb\n1\tx\n2\t\n");
}

TEST_F(Session, SqlThatIsWrongIsRefusedWithSqlitesWords) {
    expectRefused(runProgram({"sql", s_session, "select missing from nowhere"}), 2, {"nowhere"});
    expectRefused(runProgram({"sql", s_session, "delete from run"}), 2, {});
    expectRefused(runProgram({"sql", "/no/such/session", "select 1"}), 3, {"/no/such/session"});
}

TEST_F(Session, ExportsCsv) {
    const fs::path folder = s_folder->path() / "csv";
    const ProgramResult result = runProgram({"export", s_session, "--format", "csv", "--out", folder});
    EXPECT_EQ(result.exitCode, 0) << result.err;
    const std::string selections = readFile(folder / "selection.csv");
    const auto rows = s_summary["runs"][0]["recording"]["selections"].get<std::size_t>() +
                      s_summary["runs"][1]["recording"]["selections"].get<std::size_t>();
    EXPECT_EQ(lineCount(selections), rows + 1);

    const fs::path one = s_folder->path() / "one.csv";
    EXPECT_EQ(runProgram({"export", s_session, "--format", "csv", "--run", "2", "--out", one}).exitCode, 0);
    EXPECT_EQ(lineCount(readFile(one)), s_summary["runs"][1]["recording"]["selections"].get<std::size_t>() + 1);
}

TEST_F(Session, ExportRefusesWhatItCannotWrite) {
    const std::string out = s_folder->path() / "x";
    expectRefused(runProgram({"export", s_session, "--format", "xlsx", "--out", out}), 2, {"xlsx", "csv"});
    expectRefused(runProgram({"export", s_session, "--format", "csv", "--run", "9", "--out", out}), 2, {"9"});
    expectRefused(runProgram({"export", s_session, "--format", "csv", "--out", "/proc/no/x"}), 1, {"/proc/no"});
}

TEST_F(Session, RendersEveryViewInEveryFormat) {
    auto views = runProgram({"render", "--list", "--json"}).json()["views"];
    EXPECT_THAT(views, ElementsAre("overview", "experts", "timeline", "tokens", "cache", "links", "norms", "diversity",
                                   "compare", "whatif"));
    const std::pair<std::string, std::string> formats[] = {{".png", "\x89PNG"}, {".svg", "<?xml"}, {".pdf", "%PDF"}};
    for (const std::string view : views) {
        for (const auto& [ending, magic] : formats) {
            const fs::path file = s_folder->path() / (view + ending);
            const ProgramResult result = runProgram({"render", s_session, "--view", view, "--out", file, "--size",
                                                     "640x480", "--theme", "dark", "--run", "1"},
                                                    {.environment = {"DISPLAY", "QT_QPA_PLATFORM"}, .largestFile = 0});
            ASSERT_EQ(result.exitCode, 0) << view << ending << result.err;
            EXPECT_THAT(readFile(file), StartsWith(magic)) << view << ending;
            EXPECT_GT(fs::file_size(file), 1000U) << view << ending;
        }
    }
}

TEST_F(Session, RendersAnySize) {
    for (const char* view :
         {"overview", "experts", "timeline", "tokens", "cache", "links", "norms", "diversity", "compare", "whatif"}) {
        for (const char* size : {"320x240", "1200x700", "1600x900", "3840x2160"}) {
            const fs::path file = s_folder->path() / "size.png";
            const ProgramResult result =
                runProgram({"render", s_session, "--view", view, "--out", file, "--size", size});
            EXPECT_EQ(result.exitCode, 0) << view << ' ' << size << ' ' << result.err;
        }
    }
}

TEST_F(Session, RenderRefusesWhatDoesNotExist) {
    const std::string out = s_folder->path() / "v.png";
    expectRefused(runProgram({"render", s_session, "--view", "nonsense", "--out", out}), 2, {"nonsense", "timeline"});
    expectRefused(runProgram({"render", s_session, "--out", out}), 2, {"--view", "timeline"});
    expectRefused(runProgram({"render", s_session, "--view", "experts"}), 2, {"--out"});
    expectRefused(runProgram({"render", s_session, "--view", "experts", "--out", "v.gif"}), 2, {"v.gif", ".png"});
    const auto more = [&](const Arguments& options) {
        Arguments arguments{"render", s_session, "--view", "experts", "--out", out};
        arguments.insert(arguments.end(), options.begin(), options.end());
        return runProgram(arguments);
    };
    expectRefused(more({"--size", "big"}), 2, {"big"});
    expectRefused(more({"--theme", "pink"}), 2, {"pink", "dark"});
    expectRefused(more({"--run", "7"}), 2, {"7", "1, 2"});
    expectRefused(more({"--layer", "8"}), 2, {"8", "7"});
    expectRefused(runProgram({"render", "/no/such/session", "--view", "experts", "--out", out}), 3,
                  {"/no/such/session"});
    expectRefused(runProgram({"render", s_session, "--view", "experts", "--out", "/no/such/v.png"}), 1, {"/no/such"});
}

TEST_F(Session, OfANewerFormatIsRefusedWithBothVersions) {
    const fs::path newer = s_folder->path() / "newer.esdb";
    fs::copy_file(s_session, newer);
    sqlite3* db = nullptr;
    ASSERT_EQ(sqlite3_open(newer.c_str(), &db), SQLITE_OK);
    ASSERT_EQ(sqlite3_exec(db, "PRAGMA user_version = 4711", nullptr, nullptr, nullptr), SQLITE_OK);
    sqlite3_close(db);
    expectRefused(runProgram({"info", newer}), 3, {"newer.esdb", "4711"});
    expectRefused(runProgram({"sql", newer, "select 1"}), 3, {"4711"});
    expectRefused(runProgram({"render", newer, "--view", "experts", "--out", "x.png"}), 3, {"4711"});
    expectRefused(
        runProgram({"run", "--model", "demo", "--prompt", "x", "--tokens", "1", "--progress", "none", "--out", newer}),
        3, {"4711"});
}

}  // namespace
}  // namespace expertscope::test
