// SPDX-License-Identifier: GPL-3.0-or-later
// `prepare` and `--prepared`, and the calibration pass where a table is missing.
#include <cmath>
#include <filesystem>

#include <gmock/gmock.h>

#include "engine/offload/prepared_data.h"
#include "tests/app/cli/program.h"
#include "tests/engine/model/safetensors_writer.h"

namespace expertscope::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;

class Prepare : public testing::Test {
protected:
    std::string file(const char* name) const { return (m_folder.path() / name).string(); }
    ProgramResult run(const Arguments& more) const {
        Arguments arguments{"run", "--model",    "demo", "--prompt", "#include <", "--tokens",
                            "6",   "--progress", "none", "--io",     "buffered",   "--json"};
        arguments.insert(arguments.end(), more.begin(), more.end());
        return runProgram(arguments);
    }
    /// A session of a run under `policy`.
    void record(const char* name, const char* policy) const {
        ASSERT_EQ(run({"--policy", policy, "--budget", "50%", "--out", file(name)}).exitCode, 0);
    }
    ProgramResult prepare(const Arguments& sessions, const char* policy) const {
        Arguments arguments{"prepare"};
        arguments.insert(arguments.end(), sessions.begin(), sessions.end());
        for (const std::string& more : Arguments{"--for", policy, "--out", file("F")})
            arguments.push_back(more);
        return runProgram(arguments);
    }
    double choices() const {
        const PreparedData data = PreparedData::load(file("F"));
        double sum = 0;
        for (const float count : data.table("popularity", {8, 32}).values)
            sum += static_cast<double>(count);
        return sum;
    }

    TemporaryFolder m_folder;
};

TEST_F(Prepare, CollectsFromSessionsOnceEachAndAddsToTheFile) {
    record("a.esdb", "resident");
    record("b.esdb", "on-demand");
    ASSERT_EQ(prepare({file("a.esdb")}, "static").exitCode, 0);
    const double one = choices();
    EXPECT_GT(one, 0);
    EXPECT_EQ(std::fmod(one, 8 * 4), 0);  // every token chooses 4 experts in each of 8 layers
    ASSERT_EQ(prepare({file("a.esdb")}, "static").exitCode, 0);
    EXPECT_EQ(choices(), one);  // known already
    ASSERT_EQ(prepare({file("a.esdb"), file("b.esdb")}, "cost-model").exitCode, 0);
    EXPECT_EQ(choices(), 2 * one);  // the same prompt under an exact policy
    ASSERT_EQ(prepare({file("a.esdb")}, "moe-infinity").exitCode, 0);
    const PreparedData data = PreparedData::load(file("F"));
    EXPECT_EQ(data.find("eamc")->shape, (std::vector<std::int64_t>{2, 8, 32}));  // the prompt, and what followed
    EXPECT_NE(data.find("popularity"), nullptr);
    EXPECT_EQ(data.modelName(), "demo_model");
}

TEST_F(Prepare, SaysWhatItCannotUse) {
    record("a.esdb", "pre-gated");
    const ProgramResult changed = prepare({file("a.esdb")}, "static");
    EXPECT_EQ(changed.exitCode, 3);
    EXPECT_THAT(changed.err, HasSubstr("changes the routing"));
    EXPECT_FALSE(fs::exists(file("F")));
    expectRefused(prepare({file("a.esdb")}, "resident"), 2, {"needs nothing beforehand"});
    expectRefused(prepare({file("a.esdb")}, "clairvoyant"), 2, {"There is no policy 'clairvoyant'"});
    expectRefused(prepare({file("missing.esdb")}, "static"), 3, {"missing.esdb"});
}

TEST_F(Prepare, WhatIsGivenIsUsedAndNothingIsCalibrated) {
    record("a.esdb", "resident");
    ASSERT_EQ(prepare({file("a.esdb")}, "static").exitCode, 0);
    const ProgramResult result = run({"--policy", "static:mode=frequency", "--budget", "25%", "--prepared", file("F")});
    ASSERT_EQ(result.exitCode, 0) << result.err;
    EXPECT_EQ(result.err, "");
    EXPECT_FALSE(result.json().contains("calibration"));
    EXPECT_EQ(result.json()["runs"][0]["policy"], "static:mode=frequency");
}

TEST_F(Prepare, RefusesTheDataOfAnotherModel) {
    PreparedData other("0123456789abcdef", "another");
    other.set("popularity", {8, 32}, std::vector<float>(256, 1.0F));
    other.save(file("F"));
    expectRefused(run({"--policy", "static:mode=frequency", "--prepared", file("F")}), 3,
                  {"'another'", "'demo_model'"});
    expectRefused(run({"--policy", "on-demand", "--prepared", file("none")}), 3, {"none"});
}

TEST_F(Prepare, ARunThatLacksATableIsCalibratedVisiblyFirst) {
    const ProgramResult result =
        run({"--policy", "on-demand,static:mode=frequency,cost-model", "--budget", "25%", "--out", file("s.esdb")});
    ASSERT_EQ(result.exitCode, 0) << result.err;
    EXPECT_THAT(result.err, HasSubstr("calibration pass"));
    const auto json = result.json();
    EXPECT_EQ(json["calibration"]["run_id"], 1);
    EXPECT_EQ(json["calibration"]["tables"][0], "popularity");
    ASSERT_EQ(json["runs"].size(), 3U);
    EXPECT_EQ(json["runs"][0]["run_id"], 2);
    EXPECT_EQ(json["runs"][0]["text"], json["runs"][2]["text"]);
    const auto rows = [&](const char* query) {
        return runProgram({"sql", file("s.esdb"), query, "--json"}).json()["rows"];
    };
    EXPECT_EQ(rows("SELECT DISTINCT label FROM request WHERE run_id=1"), (nlohmann::json{{"calibration"}}));
    EXPECT_EQ(rows("SELECT run_id FROM diagnostic WHERE name='calibrated' ORDER BY 1"), (nlohmann::json{{3}, {4}}));
    EXPECT_EQ(rows("SELECT run_id FROM run_cost ORDER BY 1"), (nlohmann::json{{3}, {4}}));
    EXPECT_GT(rows("SELECT count(*) FROM selection WHERE run_id=3 AND action='in-place'")[0][0], 0);
}

TEST_F(Prepare, AReplayStartsFromWhatTheCalibrationCollected) {
    const auto runs = run({"--policy", "static:mode=frequency,cost-model", "--budget", "25%", "--out", file("s.esdb")})
                          .json()["runs"];
    for (const auto& recorded : runs) {
        const auto replayed =
            runProgram({"replay", file("s.esdb"), "--run", std::to_string(recorded["run_id"].get<int>()), "--policies",
                        recorded["policy"], "--evictions", "lru", "--budgets",
                        std::to_string(recorded["budget_bytes"].get<std::int64_t>()), "--json"})
                .json()["results"][0];
        EXPECT_EQ(replayed["accesses"], recorded["experts"]["accesses"]) << recorded["policy"];
        EXPECT_EQ(replayed["misses"], recorded["experts"]["misses"]) << recorded["policy"];
        EXPECT_GT(replayed["hits"], 0);
    }
}

TEST_F(Prepare, WithoutASessionTheCalibrationLeavesNothingBehind) {
    const Arguments arguments{"run",      "--model",    "demo",     "--prompt", "a",        "--tokens",
                              "4",        "--progress", "none",     "--io",     "buffered", "--json",
                              "--policy", "cost-model", "--budget", "25%"};
    const ProgramResult result =
        runProgram(arguments, {.environment = {"TMPDIR=" + m_folder.path().string()}, .largestFile = 0});
    ASSERT_EQ(result.exitCode, 0) << result.err;
    EXPECT_TRUE(result.json()["calibration"]["run_id"].is_null());
    EXPECT_TRUE(fs::is_empty(m_folder.path()));
}

}  // namespace
}  // namespace expertscope::test
