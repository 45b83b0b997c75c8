// SPDX-License-Identifier: GPL-3.0-or-later
// analyze, as scripts use it.
#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>

#include "tests/app/cli/program.h"
#include "tests/engine/model/safetensors_writer.h"

namespace expertscope::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::StartsWith;

/// A session with two runs of the demo model over the same prompt, made once.
class Analyze : public testing::Test {
protected:
    static void SetUpTestSuite() {
        s_folder = std::make_unique<TemporaryFolder>();
        s_session = s_folder->path() / "s.esdb";
        const ProgramResult made =
            runProgram({"run", "--model", "demo", "--prompt", "In the beginning", "--tokens", "24", "--policy",
                        "on-demand,pre-gated", "--budget", "25%", "--progress", "none", "--json", "--out", s_session});
        ASSERT_EQ(made.exitCode, 0) << made.err;
    }
    static void TearDownTestSuite() { s_folder.reset(); }

    static nlohmann::json analyze(const std::string& what, const Arguments& more = {}) {
        Arguments arguments{"analyze", s_session, "--what", what, "--json"};
        arguments.insert(arguments.end(), more.begin(), more.end());
        return runProgram(arguments).json()["analyses"];
    }
    static nlohmann::json sql(const std::string& query) {
        return runProgram({"sql", s_session, query, "--json"}).json()["rows"];
    }
    static std::size_t column(const nlohmann::json& table, const std::string& name) {
        for (std::size_t c = 0; c < table["columns"].size(); ++c)
            if (table["columns"][c] == name) return c;
        ADD_FAILURE() << "no column " << name;
        return 0;
    }

    inline static std::unique_ptr<TemporaryFolder> s_folder;
    inline static fs::path s_session;
};

TEST_F(Analyze, CountsWhatSqlCounts) {
    auto tables = analyze("balance,load:phase=decode", {"--run", "1"});
    ASSERT_EQ(tables.size(), 2U);
    const auto& balance = tables["balance"];
    EXPECT_THAT(balance["counted"].get<std::string>(), HasSubstr("23 generated")) << "the last one is not run again";
    const auto counts = sql("select layer, count(*) from selection where run_id = 1 group by layer order by layer");
    ASSERT_EQ(balance["rows"].size(), counts.size());
    for (std::size_t layer = 0; layer < counts.size(); ++layer)
        EXPECT_EQ(balance["rows"][layer][column(balance, "assignments")], counts[layer][1]);

    const auto& load = tables["load:phase=decode"];
    const auto chosen =
        sql("select count(*) from selection s join token t using (run_id, token) where run_id = 1 and t.phase = "
            "'decode' and s.layer = 2 and s.expert = 3");
    for (const auto& row : load["rows"]) {
        if (row[0] != 2 || row[1] != 3) continue;
        EXPECT_EQ(row[column(load, "assignments")], chosen[0][0]);
    }
}

TEST_F(Analyze, OfPredictionsAgreesWithSql) {
    auto table = analyze("prediction-quality", {"--run", "2"})["prediction-quality"];
    const auto counted = sql(
        "select count(*), sum(s.expert is not null) from prediction p left join (select distinct token, layer, expert "
        "from selection where run_id = 2) s on s.token = p.token and s.layer = p.target_layer and s.expert = p.expert "
        "where p.run_id = 2 and p.predictor = 'pre-gate' and p.target_layer = p.from_layer + 1 and p.token in (select "
        "token from selection where run_id = 2)");
    bool found = false;
    for (const auto& row : table["rows"]) {
        if (row[0] != "pre-gate" || row[1] != 1 || row[2] != "all") continue;
        found = true;
        EXPECT_EQ(row[column(table, "expected")], counted[0][0]);
        EXPECT_EQ(row[column(table, "found")], counted[0][1]);
        EXPECT_GT(row[column(table, "recall")], row[column(table, "shuffled_recall")]);
    }
    EXPECT_TRUE(found) << "the demo model has pre-gates";
}

TEST_F(Analyze, ComparesTwoRunsOfTheSession) {
    auto table = analyze("saturation", {"--run", "1", "--with", "1"})["saturation"];
    for (const auto& row : table["rows"])
        EXPECT_EQ(row[column(table, "saturation")], 1.0) << "a run is like itself";
    auto other = analyze("saturation", {"--run", "1", "--with", s_session.string() + ":2"})["saturation"];
    EXPECT_EQ(other["rows"].size(), table["rows"].size());
    EXPECT_THAT(other["rows"][0][column(other, "saturation")].get<double>(), testing::Le(1.0));
}

TEST_F(Analyze, GivesEveryAnalysisOfTheListAsATable) {
    auto list = runProgram({"analyze", "--list", "--json"}).json()["analyses"];
    std::string names;
    for (const auto& info : list) {
        EXPECT_FALSE(info["summary"].get<std::string>().empty()) << info["name"];
        if (info["source"] != "session") continue;
        names += (names.empty() ? "" : ",") + info["name"].get<std::string>();
        if (info["name"] == "vocabulary-tokens") names += ":least=1";  // the run is short
    }
    auto tables = analyze(names, {"--with", "1"});
    for (const auto& [name, table] : tables.items()) {
        EXPECT_FALSE(table["rows"].empty()) << name << ": " << table["counted"];
        for (const auto& row : table["rows"])
            ASSERT_EQ(row.size(), table["columns"].size()) << name;
    }
}

TEST_F(Analyze, KeepsWhatItMadeInTheSession) {
    const std::string query = "select count(*) from sqlite_master where name = 'analysis'";
    auto made = analyze("working-set", {"--run", "1"});
    EXPECT_EQ(sql(query)[0][0], 1);
    EXPECT_EQ(sql("select counted from analysis where subject = 'run:1' and name = 'working-set'")[0][0],
              made["working-set"]["counted"]);
    EXPECT_EQ(analyze("working-set", {"--run", "1"}), made) << "and gives it again";
    analyze("saturation", {"--run", "1", "--with", "2"});
    EXPECT_TRUE(sql("select * from analysis where name = 'saturation' and columns like '%first%' and subject = 'run:1' "
                    "and counted like '%Compared%'")
                    .empty())
        << "what depends on another run is not kept";
}

TEST_F(Analyze, WorksOnASessionThatCannotBeWritten) {
    const fs::path folder = s_folder->path() / "read_only";
    fs::create_directory(folder);
    fs::copy_file(s_session, folder / "s.esdb");
    fs::permissions(folder / "s.esdb", fs::perms::owner_read);
    fs::permissions(folder, fs::perms::owner_read | fs::perms::owner_exec);
    const ProgramResult result = runProgram({"analyze", folder / "s.esdb", "--what", "balance:batch=7", "--json"});
    fs::permissions(folder, fs::perms::owner_all);
    EXPECT_EQ(result.exitCode, 0) << result.err;
    EXPECT_FALSE(result.json()["analyses"]["balance:batch=7"]["rows"].empty());
}

TEST_F(Analyze, WritesOneTableAsCsv) {
    const ProgramResult result = runProgram({"analyze", s_session, "--what", "overlap:longest=2", "--csv"});
    EXPECT_EQ(result.exitCode, 0);
    EXPECT_THAT(result.out, StartsWith("layer,lag,pairs,overlap,random,popularity_only\n0,1,"));
    EXPECT_THAT(result.err, HasSubstr("Pairs are of tokens of one request"));
    const auto rows = analyze("overlap:longest=2")["overlap:longest=2"]["rows"];
    EXPECT_EQ(lineCount(result.out), rows.size() + 1);
}

TEST_F(Analyze, IsReadableAsText) {
    const ProgramResult result = runProgram({"analyze", s_session, "--what", "repetition"});
    EXPECT_THAT(result.out, StartsWith("repetition: "));
    EXPECT_THAT(result.out, HasSubstr("random_any_choice"));
    EXPECT_THAT(runProgram({"analyze", "--list"}).out, HasSubstr("prediction-quality"));
}

TEST_F(Analyze, RefusesWhatItCannotDo) {
    const auto refused = [](const Arguments& more, int exitCode, const std::vector<std::string>& words) {
        Arguments arguments{"analyze"};
        arguments.insert(arguments.end(), more.begin(), more.end());
        expectRefused(runProgram(arguments), exitCode, words);
    };
    refused({s_session, "--what", "nonsense"}, 2, {"nonsense", "balance"});
    refused({s_session, "--what", "balance:phase=never"}, 2, {"never", "decode"});
    refused({s_session, "--what", "balance:fase=decode"}, 2, {"fase", "phase"});
    refused({s_session}, 2, {"--what"});
    refused({"--what", "balance"}, 2, {"session"});
    refused({s_session, "--what", "balance,load", "--csv"}, 2, {"--csv"});
    refused({s_session, "--what", "balance", "--run", "9"}, 2, {"9"});
    refused({"demo", "--what", "balance"}, 2, {"balance", "session"});
    refused({"/no/such/session", "--what", "balance"}, 3, {"/no/such/session"});
    refused({s_session, "--what", "placement:gpus=4:nodes=3"}, 2, {"3 nodes"});
}

}  // namespace
}  // namespace expertscope::test
