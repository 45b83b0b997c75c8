// SPDX-License-Identifier: GPL-3.0-or-later
// import and replay, as scripts use them.
#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>

#include "tests/app/cli/program.h"
#include "tests/engine/model/safetensors_writer.h"

namespace expertscope::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

/// A session with one run of the demo model on a paced link, made once.
class Replay : public testing::Test {
protected:
    static void SetUpTestSuite() {
        s_folder = std::make_unique<TemporaryFolder>();
        s_session = s_folder->path() / "s.esdb";
        const ProgramResult made = runProgram({"run", "--model", "demo", "--prompt", "In the beginning", "--tokens",
                                               "12", "--policy", "prefetch-all", "--budget", "25%", "--link",
                                               "2GB/s@20us", "--progress", "none", "--json", "--out", s_session});
        ASSERT_EQ(made.exitCode, 0) << made.err;
        s_run = made.json()["runs"][0];
    }
    static void TearDownTestSuite() { s_folder.reset(); }

    static nlohmann::json replay(const Arguments& more) {
        Arguments arguments{"replay", s_session, "--json"};
        arguments.insert(arguments.end(), more.begin(), more.end());
        return runProgram(arguments).json();
    }

    inline static std::unique_ptr<TemporaryFolder> s_folder;
    inline static fs::path s_session;
    inline static nlohmann::json s_run;
};

TEST_F(Replay, OfARunUnderItsOwnPolicyCountsWhatTheRunCounted) {
    auto json = replay({"--evictions", "lru", "--budgets", "25%"});
    ASSERT_EQ(json["results"].size(), 1U);
    auto& result = json["results"][0];
    EXPECT_EQ(result["policy"], "prefetch-all");
    EXPECT_EQ(result["budget_bytes"], s_run["budget_bytes"]);
    EXPECT_EQ(result["accesses"], s_run["experts"]["accesses"]);
    EXPECT_EQ(result["misses"], s_run["experts"]["misses"]);
    EXPECT_EQ(result["demand_bytes"], s_run["transfers"]["demand_bytes"]);
    EXPECT_EQ(result["prefetch_bytes"], s_run["transfers"]["prefetch_bytes"]);
    EXPECT_EQ(result["link"], "2GB/s@20us");
    EXPECT_GT(result["decode_tokens_per_s"].get<double>(), 0);
}

TEST_F(Replay, NamesAPolicysOwnEvictionAndCountsItOnce) {
    auto json = replay({"--policies", "moe-infinity,on-demand", "--evictions", "lru,lfu", "--budgets", "25%"});
    ASSERT_EQ(json["results"].size(), 3U);
    EXPECT_EQ(json["results"][0]["eviction"], "own");
    EXPECT_EQ(json["results"][1]["eviction"], "lru");
    EXPECT_EQ(replay({"--policies", "moe-infinity", "--evictions", "own", "--budgets", "25%"})["results"][0]["misses"],
              json["results"][0]["misses"]);
    expectRefused(runProgram({"replay", s_session, "--policies", "on-demand", "--evictions", "own"}), 2,
                  {"on-demand", "own"});
    expectRefused(runProgram({"replay", s_session, "--policies", "moe-infinity", "--evictions", "magic"}), 2,
                  {"magic", "lru"});
}

TEST_F(Replay, MakesEveryCombinationWithItsBound) {
    auto json = replay({"--policies", "on-demand,pre-gated,resident", "--evictions", "lru,belady,belady-bypass",
                        "--budgets", "10%,50%", "--links", "1GB/s@10us,100MB/s@0us"});
    EXPECT_EQ(json["results"].size(), 2U * 3 * 2 * 2 + 2) << "resident has one budget and no eviction";
    EXPECT_EQ(json["bounds"].size(), 2U * 2);
    for (const char* key : {"policy", "eviction", "budget_bytes", "budget_fraction", "link", "exact", "accesses",
                            "hits", "hits_in_flight", "misses", "hit_rate", "bytes_moved", "wasted_bytes",
                            "decode_tokens_per_s", "wait_ms", "missing"})
        EXPECT_TRUE(json["results"][0].contains(key)) << key;
    for (const char* key : {"budget_bytes", "belady_hit_rate", "min_bytes", "roofline_tokens_per_s"})
        EXPECT_TRUE(json["bounds"][0].contains(key)) << key;
    for (const auto& result : json["results"]) {
        EXPECT_EQ(result["accesses"],
                  result["hits"].get<int>() + result["hits_in_flight"].get<int>() + result["misses"].get<int>());
        for (const auto& bound : json["bounds"]) {
            if (bound["budget_bytes"] != result["budget_bytes"] || bound["link"] != result["link"]) continue;
            EXPECT_LE(result["decode_tokens_per_s"].is_null() ? 0 : result["decode_tokens_per_s"].get<double>(),
                      bound["roofline_tokens_per_s"].get<double>() * 1.001)
                << result.dump();
        }
    }
}

TEST_F(Replay, OfImportedRoutingHasNoSpeeds) {
    const fs::path csv = s_folder->path() / "t.csv", session = s_folder->path() / "i.esdb";
    std::ofstream(csv) << "# route_trace v1\n# model=m.gguf arch=moe n_layer=1 n_expert=4 n_expert_used=1\n"
                          "# layer=0 expert_bytes=1048576\n"
                          "turn,phase,step,layer,slot,expert,weight,residency,expert_bytes\n"
                          "0,1,0,0,0,0,1,0,1\n0,1,1,0,0,1,1,0,1\n0,1,2,0,0,2,1,0,1\n0,1,3,0,0,0,1,0,1\n";
    EXPECT_EQ(runProgram({"import", csv, "--out", session, "--json"}).json()["runs"][0]["accesses"], 4);
    auto json = runProgram({"replay", session, "--evictions", "lru,belady", "--budgets", "2MiB", "--json"}).json();
    EXPECT_EQ(json["trace"]["settle"], "layer");
    EXPECT_EQ(json["results"][0]["hits"], 0);
    EXPECT_EQ(json["results"][1]["hits"], 1);
    EXPECT_TRUE(json["results"][0]["decode_tokens_per_s"].is_null());
    EXPECT_TRUE(json["bounds"][0]["roofline_tokens_per_s"].is_null());
    const ProgramResult text = runProgram({"replay", session, "--budgets", "50%"});
    EXPECT_EQ(text.exitCode, 0);
    EXPECT_THAT(text.out, HasSubstr("LRU cliff"));
}

TEST_F(Replay, TakesCostsOfAnotherMachine) {
    const fs::path costs = s_folder->path() / "costs.json";
    std::ofstream(costs) << R"({"layer_us": 1000, "expert_us": 0, "head_us": 0})";
    auto json = replay({"--policies", "resident", "--cost", costs});
    const double layers = json["trace"]["model"]["layers"].get<double>();
    EXPECT_NEAR(json["results"][0]["decode_tokens_per_s"].get<double>(), 1000 / layers, 0.5);
    std::ofstream(costs) << R"({"layer_us": 1000, "expert_us": 0, "head_us": 0, "nonsense": 1})";
    expectRefused(runProgram({"replay", s_session, "--cost", costs}), 3, {"nonsense"});
}

TEST_F(Replay, RefusesInOneSentence) {
    expectRefused(runProgram({"replay", s_session, "--policies", "nonsense"}), 2, {"nonsense", "on-demand"});
    expectRefused(runProgram({"replay", s_session, "--evictions", "nonsense"}), 2, {"nonsense", "lru"});
    expectRefused(runProgram({"replay", s_session, "--budgets", "1B"}), 2, {"holds no expert"});
    expectRefused(runProgram({"replay", s_session, "--settle", "never"}), 2, {"layer or admit"});
    expectRefused(runProgram({"replay", s_session, "--links", "fast"}), 2, {"fast"});
    expectRefused(runProgram({"replay", s_folder->path() / "none.esdb"}), 3, {"none.esdb"});
    expectRefused(runProgram({"import", s_session, "--out", s_folder->path() / "x.esdb"}), 3, {"route-trace"});
    expectRefused(runProgram({"import", s_session, "--format", "nonsense", "--out", "x"}), 2, {"nonsense"});
}

}  // namespace
}  // namespace expertscope::test
