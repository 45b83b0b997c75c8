// SPDX-License-Identifier: GPL-3.0-or-later
// `run` on the demo model: the summary, the session, and what the policies promise.
#include <filesystem>
#include <set>
#include <sstream>

#include <gmock/gmock.h>

#include "tests/app/cli/program.h"
#include "tests/engine/model/safetensors_writer.h"

namespace expertscope::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

const Arguments kShort{"run",      "--model", "demo",       "--prompt", "In the beginning",
                       "--tokens", "12",      "--progress", "none",     "--json"};

Arguments with(Arguments arguments, const Arguments& more) {
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
}

void expectKeys(const nlohmann::json& object, const std::vector<std::string>& keys) {
    for (const std::string& key : keys)
        EXPECT_TRUE(object.contains(key)) << key << " is missing in " << object.dump();
}

TEST(Run, SummaryHasTheDocumentedKeysAndItsCountsAddUp) {
    const ProgramResult result = runProgram(with(kShort, {"--policy", "on-demand", "--budget", "25%"}));
    ASSERT_EQ(result.exitCode, 0) << result.err;
    EXPECT_EQ(result.err, "");
    auto json = result.json();
    EXPECT_TRUE(json["session"].is_null());
    ASSERT_EQ(json["runs"].size(), 1U);
    auto& run = json["runs"][0];
    expectKeys(run, {"run_id",
                     "model",
                     "policy",
                     "exact",
                     "eviction",
                     "device",
                     "budget_bytes",
                     "threads",
                     "link",
                     "prompt_tokens",
                     "generated_tokens",
                     "stopped",
                     "text",
                     "requests",
                     "prefill_tokens_per_s",
                     "decode_tokens_per_s",
                     "ttft_ms",
                     "tpot_ms",
                     "experts",
                     "transfers",
                     "time_ms",
                     "peak_device_bytes",
                     "fidelity",
                     "recording"});
    expectKeys(run["model"], {"name", "family", "layers", "experts", "top_k", "expert_bytes", "total_expert_bytes"});
    expectKeys(run["tpot_ms"], {"p50", "p90", "p99"});
    expectKeys(run["requests"][0],
               {"label", "prompt_tokens", "generated_tokens", "stopped", "text", "ttft_ms", "decode_tokens_per_s"});
    EXPECT_TRUE(run["run_id"].is_null());
    EXPECT_TRUE(run["link"].is_null());
    EXPECT_TRUE(run["fidelity"].is_null());
    EXPECT_EQ(run["policy"], "on-demand");
    EXPECT_EQ(run["budget_bytes"], 64 * 110592);
    EXPECT_EQ(run["generated_tokens"], 12);
    EXPECT_EQ(run["stopped"], "tokens");
    EXPECT_EQ(run["recording"]["selections"], 0);

    auto& experts = run["experts"];
    const int accesses = experts["accesses"];
    EXPECT_GE(accesses, 11 * 32);
    EXPECT_EQ(accesses,
              experts["hits"].get<int>() + experts["hits_in_flight"].get<int>() + experts["misses"].get<int>());
    auto& transfers = run["transfers"];
    EXPECT_EQ(transfers["prefetch_bytes"], 0);
    EXPECT_EQ(transfers["demand_bytes"].get<std::int64_t>(), experts["misses"].get<std::int64_t>() * 110592);
    auto& time = run["time_ms"];
    EXPECT_NEAR(time["total"].get<double>(),
                time["compute"].get<double>() + time["wait"].get<double>() + time["other"].get<double>(), 0.01);
}

TEST(Run, MakesOneRunOfEachCombinationInOneSession) {
    const TemporaryFolder folder;
    const fs::path session = folder.path() / "s.esdb";
    auto json = runProgram(with(kShort, {"--policy", "on-demand,prefetch-all", "--eviction", "lru,lfu", "--budget",
                                         "25%,50%", "--out", session}))
                    .json();
    ASSERT_EQ(json["runs"].size(), 8U);
    std::set<std::string> kinds;
    std::set<std::string> texts;
    for (std::size_t i = 0; i < 8; ++i) {
        auto& run = json["runs"][i];
        EXPECT_EQ(run["run_id"], i + 1);
        kinds.insert(run["policy"].get<std::string>() + run["eviction"].get<std::string>() +
                     run["budget_bytes"].dump());
        texts.insert(run["text"]);
        EXPECT_GT(run["recording"]["selections"].get<int>(), 0);
        EXPECT_EQ(run["recording"]["dropped"], 0);
    }
    EXPECT_EQ(kinds.size(), 8U);
    EXPECT_EQ(texts.size(), 1U);  // both policies are exact

    auto info = runProgram({"info", session, "--json"}).json();
    ASSERT_EQ(info["runs"].size(), 8U);
    std::set<std::string> groups;
    for (const auto& run : info["runs"]) {
        EXPECT_EQ(run["state"], "complete");
        EXPECT_EQ(run["generated_tokens"], 12);
        EXPECT_TRUE(run["machine"].contains("cpu"));
        groups.insert(run["group"]);
    }
    EXPECT_EQ(groups.size(), 1U);
    EXPECT_THAT(info["runs"][3]["command"], HasSubstr("--policy on-demand --eviction lfu --budget 50%"));
    EXPECT_EQ(info["runs"][3]["experts"], json["runs"][3]["experts"]);
    EXPECT_FALSE(fs::exists(session.string() + "-wal"));  // a session is one file

    runProgram(with(kShort, {"--out", session}));  // is appended
    EXPECT_EQ(runProgram({"info", session, "--json"}).json()["runs"].size(), 9U);
}

TEST(Run, RepeatsTheSameWork) {
    auto runs = runProgram(with(kShort, {"--policy", "on-demand", "--budget", "20%", "--repeat", "2"})).json()["runs"];
    ASSERT_EQ(runs.size(), 2U);
    EXPECT_EQ(runs[0]["text"], runs[1]["text"]);
    EXPECT_EQ(runs[0]["experts"]["misses"], runs[1]["experts"]["misses"]);
    EXPECT_EQ(runs[1]["repeat"], 1);
}

TEST(Run, ExactPoliciesGiveTheResidentLogitsToTheBit) {
    const TemporaryFolder folder;
    auto runs = runProgram(with(kShort, {"--policy", "resident,on-demand,prefetch-all", "--budget", "1MiB", "--logits",
                                         folder.path() / "l.npy"}))
                    .json()["runs"];
    ASSERT_EQ(runs.size(), 3U);
    const std::string resident = readFile(folder.path() / "l.npy");
    const int positions = runs[0]["prompt_tokens"].get<int>() + 12 - 1;
    EXPECT_EQ(resident.size(), 128 + static_cast<std::size_t>(positions) * 4096 * sizeof(float));
    EXPECT_THAT(resident.substr(0, 128), HasSubstr("'shape': (" + std::to_string(positions) + ", 4096)"));
    EXPECT_EQ(resident, readFile(folder.path() / "l-2.npy"));
    EXPECT_EQ(resident, readFile(folder.path() / "l-3.npy"));
}

TEST(Run, AddsBosToTextButNotToIds) {
    auto ids = runProgram({"tokenize", "--model", "demo", "--text", "In the beginning", "--json"}).json()["ids"];
    std::string list = "4095";
    for (const auto& id : ids)
        list += "," + id.dump();
    auto ofText = runProgram(kShort).json()["runs"][0];
    auto ofIds =
        runProgram({"run", "--model", "demo", "--prompt-ids", list, "--tokens", "12", "--progress", "none", "--json"})
            .json()["runs"][0];
    EXPECT_EQ(ofText["prompt_tokens"], ids.size() + 1);
    EXPECT_EQ(ofText["prompt_tokens"], ofIds["prompt_tokens"]);
    EXPECT_EQ(ofText["text"], ofIds["text"]);
}

TEST(Run, PlaysAPromptFileAsRequestsOfOneRun) {
    const TemporaryFolder folder;
    writeFile(folder.path() / "p.jsonl",
              "{\"prompt\": \"In the\", \"label\": \"a\"}\n{\"prompt\": \"int main(\", \"label\": \"b\"}\n");
    auto runs = runProgram({"run", "--model", "demo", "--prompts", folder.path() / "p.jsonl", "--tokens", "5",
                            "--progress", "none", "--json"})
                    .json()["runs"];
    ASSERT_EQ(runs.size(), 1U);
    auto& requests = runs[0]["requests"];
    ASSERT_EQ(requests.size(), 2U);
    EXPECT_EQ(requests[0]["label"], "a");
    EXPECT_EQ(requests[1]["label"], "b");
    EXPECT_EQ(runs[0]["generated_tokens"], 10);
    EXPECT_EQ(runs[0]["prompt_tokens"],
              requests[0]["prompt_tokens"].get<int>() + requests[1]["prompt_tokens"].get<int>());
}

TEST(Run, StopsAtTheContextsEndAndSaysSo) {
    const TemporaryFolder folder;
    writeTinyQwen3Moe(folder.path());
    auto run = runProgram({"run", "--model", folder.path(), "--prompt-ids", "1,2,3,4", "--tokens", "500", "--progress",
                           "none", "--json"})
                   .json()["runs"][0];
    EXPECT_EQ(run["stopped"], "context");
    EXPECT_EQ(run["generated_tokens"], 61);  // the last of 64 positions predicts one token more
}

TEST(Run, SamplesByItsSeed) {
    const auto text = [](const char* seed) {
        return runProgram(with(kShort, {"--temperature", "1", "--top-p", "0.95", "--seed", seed}))
            .json()["runs"][0]["text"];
    };
    EXPECT_EQ(text("7"), text("7"));
    EXPECT_NE(text("7"), text("8"));
}

TEST(Run, FidelityIsPerfectForExactPoliciesAndMeasuredForApproximateOnes) {
    auto runs =
        runProgram(with(kShort, {"--policy", "on-demand,pre-gated", "--budget", "25%", "--fidelity"})).json()["runs"];
    ASSERT_EQ(runs.size(), 2U);
    auto& exact = runs[0]["fidelity"];
    EXPECT_EQ(exact["top1_agreement"], 1);
    EXPECT_EQ(exact["kl"], 0);
    EXPECT_EQ(exact["total_variation"], 0);
    EXPECT_EQ(exact["perplexity"], exact["resident_perplexity"]);
    auto& approximate = runs[1]["fidelity"];
    EXPECT_FALSE(runs[1]["exact"]);
    EXPECT_GT(approximate["kl"].get<double>(), 0.0);
    EXPECT_LT(approximate["kl"].get<double>(), 1.0);
    EXPECT_GT(approximate["total_variation"].get<double>(), 0.0);
    EXPECT_LT(approximate["total_variation"].get<double>(), 1.0);
    EXPECT_EQ(exact["rerouted"]["share"], 0);
    EXPECT_GT(approximate["rerouted"]["share"].get<double>(), 0.0);
    EXPECT_GT(approximate["rerouted"]["router_mass"].get<double>(), 0.0);
    EXPECT_EQ(approximate["dropped"]["share"], 0);
}

TEST(Run, GivesIntervalsOverItsRepeatsAndTheBlockLatencyOfEachLayer) {
    const auto summary =
        runProgram(with(kShort, {"--policy", "resident,on-demand", "--budget", "50%", "--repeat", "3"})).json();
    ASSERT_EQ(summary["repeats"].size(), 2U);
    for (const auto& repeats : summary["repeats"]) {
        EXPECT_EQ(repeats["runs"], 3);
        const auto& p50 = repeats["tpot_ms"]["p50"];
        EXPECT_LE(p50["low"].get<double>(), p50["mean"].get<double>());
        EXPECT_GE(p50["high"].get<double>(), p50["mean"].get<double>());
    }
    const auto& run = summary["runs"][0];
    ASSERT_EQ(run["block_ms"].size(), run["model"]["layers"].get<std::size_t>());
    double blocks = 0;
    for (const auto& layer : run["block_ms"]) {
        EXPECT_LE(layer["p50"].get<double>(), layer["p99"].get<double>());
        blocks += layer["mean"].get<double>();
    }
    EXPECT_GT(blocks, 0);
    EXPECT_LT(blocks, 1e3 / run["decode_tokens_per_s"].get<double>());  // a token is more than its blocks
}

TEST(Run, ResidentSaysThatItIgnoresTheBudget) {
    const ProgramResult result = runProgram(with(kShort, {"--budget", "25%"}));
    EXPECT_EQ(result.exitCode, 0);
    EXPECT_THAT(result.err, HasSubstr("ignores --budget"));
    EXPECT_EQ(result.json()["runs"][0]["experts"]["misses"], 0);
}

TEST(Run, RecordsOnlyWhatIsAskedFor) {
    const TemporaryFolder folder;
    auto run = runProgram(with(kShort, {"--record", "routing", "--out", folder.path() / "s.esdb"})).json()["runs"][0];
    EXPECT_GT(run["recording"]["selections"].get<int>(), 0);
    EXPECT_EQ(run["recording"]["spans"], 0);
}

TEST(Run, TellsItsProgressAsJsonLines) {
    const TemporaryFolder folder;
    const ProgramResult result =
        runProgram({"run", "--model", "demo", "--prompt", "x", "--tokens", "200", "--policy", "on-demand,resident",
                    "--budget", "25%", "--progress", "json", "--json", "--out", folder.path() / "s.esdb"});
    ASSERT_EQ(result.exitCode, 0) << result.err;
    std::map<std::string, int> events;
    std::istringstream lines(result.err);
    std::int64_t generated = 0;
    for (std::string line; std::getline(lines, line);) {
        if (line.starts_with("expertscope: Note")) continue;
        const auto event = nlohmann::json::parse(line);
        ++events[event["event"]];
        if (event["event"] == "run") {
            EXPECT_EQ(event["runs"], 2);
            EXPECT_EQ(event["run_id"], event["run"]);
            EXPECT_EQ(event["planned_tokens"], 200);
            expectKeys(event, {"policy", "budget_bytes"});
            generated = 0;
        } else if (event["event"] == "progress") {
            expectKeys(event, {"run", "planned", "tokens_per_s", "request", "label"});
            EXPECT_GT(event["generated"].get<std::int64_t>(), generated);
            generated = event["generated"];
        }
    }
    EXPECT_EQ(events["run"], 2);
    EXPECT_EQ(events["done"], 2);
    EXPECT_GE(events["progress"], 2);
}

TEST(Run, RefusesAKindOfProgressThatDoesNotExist) {
    expectRefused(runProgram({"run", "--model", "demo", "--prompt", "x", "--progress", "loud"}), 2,
                  {"loud", "bar", "json"});
}

TEST(Run, TellsAFailureAsAProgressEventToo) {
    const ProgramResult result =
        runProgram({"run", "--model", "/no/such/model", "--prompt", "x", "--progress", "json", "--json"});
    EXPECT_EQ(result.exitCode, 3);
    const auto event = nlohmann::json::parse(result.err.substr(0, result.err.find('\n')));
    EXPECT_EQ(event["event"], "error");
    EXPECT_THAT(event["sentence"], HasSubstr("/no/such/model"));
}

TEST(Run, PrintsTextAndFiguresForAPerson) {
    const ProgramResult result =
        runProgram({"run", "--model", "demo", "--prompt", "In the beginning", "--tokens", "4"});
    EXPECT_EQ(result.exitCode, 0);
    EXPECT_THAT(result.out, HasSubstr("tokens/s"));
    EXPECT_THAT(result.out, HasSubstr("hits"));
    EXPECT_THAT(result.err, HasSubstr("run 1/1"));
}

}  // namespace
}  // namespace expertscope::test
