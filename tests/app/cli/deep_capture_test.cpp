// SPDX-License-Identifier: GPL-3.0-or-later
// run --record deep, what is made of it, and the model doing with less.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <numeric>
#include <stdexcept>

#include <gmock/gmock.h>

#include "engine/model/checkpoint.h"
#include "profiler/interchange/npy.h"
#include "profiler/interchange/zip_file.h"
#include "tests/app/cli/program.h"
#include "tests/engine/model/safetensors_writer.h"

namespace expertscope::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

/// A session with a run that captured two layers of ten tokens, one that captured everything, and one that did not,
/// made once.
class DeepSessions : public testing::Test {
protected:
    static void SetUpTestSuite() {
        s_folder = std::make_unique<TemporaryFolder>();
        s_session = s_folder->path() / "s.esdb";
        for (const char* record : {"deep:layers=2-3,tokens=0-9", "routing,norms,deep:examples=2", "routing,norms"}) {
            const ProgramResult made = runProgram(
                {"run",      "--model",  "demo",     "--prompt",   "In the beginning God created",
                 "--tokens", "12",       "--policy", "on-demand",  "--budget",
                 "25%",      "--record", record,     "--progress", "none",
                 "--json",   "--out",    s_session,  "--logits",   s_folder->path() / (std::string(record) + ".npy")});
            ASSERT_EQ(made.exitCode, 0) << made.err;
        }
    }
    static void TearDownTestSuite() { s_folder.reset(); }

    static nlohmann::json analyze(const std::string& what, int run) {
        return runProgram({"analyze", s_session, "--what", what, "--run", std::to_string(run), "--json"})
            .json()["analyses"][what];
    }
    static nlohmann::json sql(const std::string& query) {
        return runProgram({"sql", s_session, query, "--json"}).json()["rows"];
    }
    static std::string logits(const std::string& record) { return readFile(s_folder->path() / (record + ".npy")); }

    inline static std::unique_ptr<TemporaryFolder> s_folder;
    inline static fs::path s_session;
};

TEST_F(DeepSessions, HoldWhatWasAskedForAndSayThatTimesAreNoMeasure) {
    const auto few = analyze("norm-score", 1);
    ASSERT_EQ(few["rows"].size(), 3U) << "two layers, and both";
    EXPECT_EQ(few["rows"][0][0], 2);
    EXPECT_EQ(few["rows"][1][0], 3);
    EXPECT_EQ(few["rows"][0][1], 10);
    EXPECT_EQ(few["rows"][2][1], 20);
    EXPECT_EQ(sql("select count(*) from selection where run_id = 1 and layer = 7")[0][0].get<int>() > 0, true)
        << "choices are recorded beside it";
    const auto told = sql("select severity, sentence from diagnostic where run_id = 1 and name = 'deep_capture'");
    ASSERT_EQ(told.size(), 1U);
    EXPECT_EQ(told[0][0], "warning");
    EXPECT_THAT(told[0][1].get<std::string>(), HasSubstr("not representative"));
    EXPECT_EQ(analyze("token-norms", 2)["rows"].size(), 8U * 2 * 32);
}

TEST_F(DeepSessions, ChangeNoLogitsAndCountWhatTheRunRecorded) {
    EXPECT_EQ(logits("routing,norms,deep:examples=2"), logits("routing,norms"));
    const auto table = analyze("importance", 2);
    const auto rows =
        sql("select s.layer, s.expert, count(*), sum(n.norm), avg(s.weight * n.norm) from selection s "
            "join norm n using (run_id, token, layer, slot) where run_id = 2 group by s.layer, s.expert");
    std::size_t column[3] = {};
    const char* names[3] = {"frequency", "ean_sum", "reap"};
    for (std::size_t i = 0; i < 3; ++i)
        while (table["columns"].at(column[i]) != names[i])
            ++column[i];
    ASSERT_GT(rows.size(), 100U);
    for (const auto& row : rows) {
        const auto& mine = table["rows"][row[0].get<std::size_t>() * 32 + row[1].get<std::size_t>()];
        for (std::size_t i = 0; i < 3; ++i)
            EXPECT_NEAR(mine[column[i]].get<double>(), row[i + 2].get<double>(), 1e-6 * row[i + 2].get<double>());
    }
    const auto without = analyze("importance", 3);
    EXPECT_TRUE(without["rows"].empty());
    EXPECT_THAT(without["counted"].get<std::string>(), HasSubstr("without a deep capture"));
}

/// The float32 values of an array in an .npz.
std::vector<double> exported(const ZipFile& zip, const std::string& name, const std::vector<std::int64_t>& shape) {
    const ZipEntry* const entry = zip.find(name);
    if (!entry) throw std::runtime_error("no array " + name);
    NpyReader array(zip.open(*entry), name);
    EXPECT_EQ(array.shape(), shape) << name;
    std::vector<double> values(static_cast<std::size_t>(array.size()));
    for (double& value : values)
        value = array.real();
    array.finish();
    return values;
}

TEST_F(DeepSessions, GiveTheRawVectorsThatWereAskedForToNumpy) {
    const fs::path session = s_folder->path() / "raw.esdb", out = s_folder->path() / "raw.npz";
    const ProgramResult made =
        runProgram({"run", "--model", "demo", "--prompt", "In the beginning God created", "--tokens", "6", "--record",
                    "deep:layers=2-3,tokens=3-12,raw", "--progress", "none", "--json", "--out", session});
    ASSERT_EQ(made.exitCode, 0) << made.err;
    EXPECT_THAT(made.err, HasSubstr("Note: The raw vectors of 2 layers and up to"));
    ASSERT_EQ(runProgram({"export", session, "--format", "npz", "--out", out}).exitCode, 0);
    const ZipFile zip(out);
    EXPECT_EQ(zip.find("deep/1/outputs.npy"), nullptr);
    const auto table = runProgram({"analyze", session, "--what", "expert-norms:layer=3", "--json"})
                           .json()["analyses"]["expert-norms:layer=3"];
    const auto& columns = table["columns"];
    const auto column = static_cast<std::size_t>(std::ranges::find(columns, "mean_norm") - columns.begin());
    ASSERT_LT(column, columns.size());
    const NpyReader tokens(zip.open(*zip.find("deep/3/tokens.npy")), "tokens");
    const std::int64_t count = tokens.size();
    ASSERT_GE(count, 5);
    const std::vector<double> outputs = exported(zip, "deep/3/outputs.npy", {count, 32, 192});
    const std::vector<double> weights = exported(zip, "deep/3/weights.npy", {count, 32});
    const std::vector<double> activations = exported(zip, "deep/3/activations.npy", {count, 32, 96});
    const auto map = runProgram({"analyze", session, "--what", "activation-map:token=4:layer=3", "--json"})
                         .json()["analyses"]["activation-map:token=4:layer=3"]["rows"];
    ASSERT_EQ(map.size(), 32U * 96);
    for (std::size_t i = 0; i < map.size(); ++i) {
        EXPECT_EQ(map[i][3], std::isnan(weights[32 + i / 96]) ? 0 : 1);
        ASSERT_NEAR(map[i][5].get<double>(), activations[32 * 96 + i], 1e-6) << i;
    }
    expectRefused(runProgram({"analyze", session, "--what", "activation-map:token=2"}), 2, {"Token 2", "from 3 to"});
    for (std::size_t e = 0; e < 32; ++e) {
        double norms = 0;
        for (std::size_t t = 0; t < static_cast<std::size_t>(count); ++t) {
            const double* const output = outputs.data() + (t * 32 + e) * 192;
            norms += std::sqrt(std::inner_product(output, output + 192, output, 0.0));
        }
        const double mean = norms / static_cast<double>(count);
        EXPECT_NEAR(table["rows"][e][column].get<double>(), mean, 1e-6 * mean);
    }
    // The angles of these tokens with the router's rows: cos = logit / (‖x‖ ‖row‖).
    const auto capacity = runProgram({"analyze", "demo", "--what", "minimum-capacity", "--with", session, "--json"})
                              .json()["analyses"]["minimum-capacity"];
    EXPECT_THAT(capacity["counted"].get<std::string>(), HasSubstr("The tokens that run 1 of"));
    ASSERT_EQ(capacity["rows"].size(), 2U) << "of the layers that were captured";
    EXPECT_EQ(capacity["rows"][1][0], 3);
    EXPECT_EQ(capacity["rows"][1][1], count);
    const std::vector<double> inputs = exported(zip, "deep/3/inputs.npy", {count, 192});
    const std::vector<double> logits = exported(zip, "deep/3/logits.npy", {count, 32});
    const std::vector<float> router = Checkpoint::open(fs::path(EXPERTSCOPE_TEST_RESOURCES) / "demo_model")
                                          .readFloats("model.layers.3.mlp.gate.weight");
    const auto length = [](auto first) { return std::sqrt(std::inner_product(first, first + 192, first, 0.0)); };
    double delta = 0;
    for (std::ptrdiff_t t = 0; t < count; ++t) {
        double best = -1;
        for (std::ptrdiff_t e = 0; e < 32; ++e)
            best = std::max(best, logits[static_cast<std::size_t>(t * 32 + e)] / length(router.begin() + e * 192) /
                                      length(inputs.begin() + t * 192));
        delta += best / static_cast<double>(count);
    }
    EXPECT_NEAR(capacity["rows"][1][2].get<double>(), delta, 1e-5);
    expectRefused(runProgram({"analyze", "demo", "--what", "minimum-capacity", "--with", s_session}), 3, {"deep:raw"});
    expectRefused(runProgram({"run", "--model", "demo", "--prompt", "x", "--tokens", "9", "--record", "deep:raw=1MiB",
                              "--out", s_folder->path() / "none.esdb"}),
                  2, {"raw vectors", "1.00 MiB", "layers="});
}

TEST_F(DeepSessions, SayWhatTheyCannotCapture) {
    const auto with = [](const std::string& record) {
        return runProgram({"run", "--model", "demo", "--prompt", "a", "--tokens", "1", "--record", record, "--out",
                           s_folder->path() / "none.esdb"});
    };
    expectRefused(with("deep:layers=8-9"), 2, {"layer 8", "0 to 7"});
    expectRefused(with("deep:layers=3-1"), 2, {"layers=3-1"});
    expectRefused(with("deep:neurons=3"), 2, {"neurons=3", "layers=FIRST-LAST"});
    expectRefused(with("deep:tokens=x"), 2, {"tokens=x"});
    expectRefused(with("deeper"), 2, {"deeper"});
    EXPECT_FALSE(fs::exists(s_folder->path() / "none.esdb"));
    expectRefused(runProgram({"analyze", "demo", "--what", "importance"}), 2, {"--record deep"});
}

TEST_F(DeepSessions, SayWhichExpertsToDoWithout) {
    const fs::path text = fs::path(EXPERTSCOPE_TEST_TEXTS) / "python.val.txt";
    const Arguments base{"perplexity", "--model", "demo",      "--file", text,
                         "--context",  "64",      "--windows", "2",      "--json"};
    const auto with = [&base](const Arguments& more) {
        Arguments arguments = base;
        arguments.insert(arguments.end(), more.begin(), more.end());
        return runProgram(arguments);
    };
    auto less = with({"--prune", "reap:4,frequency:9:global,random:4,router_norm:2", "--scores",
                      s_session.string() + ":2", "--top-k", "1,4", "--threshold", "1"})
                    .json();
    auto& variants = less["variants"];
    ASSERT_EQ(variants.size(), 8U);
    EXPECT_EQ(variants[0]["label"], "whole");
    EXPECT_EQ(variants[0]["perplexity"], less["perplexity"]);
    EXPECT_EQ(variants[1]["label"], "prune reap:4");
    EXPECT_EQ(variants[1]["removed_experts"], 32);
    EXPECT_EQ(variants[2]["removed_experts"], 9);
    EXPECT_NE(variants[1]["perplexity"], less["perplexity"]);
    EXPECT_EQ(variants[6]["label"], "top-k 4");
    EXPECT_EQ(variants[6]["perplexity"], less["perplexity"]) << "four are the model's own number";
    EXPECT_EQ(variants[5]["experts_per_token"], 1);
    EXPECT_EQ(variants[7]["experts_per_token"], 1) << "no weight is above 1";
    EXPECT_NEAR(variants[7]["perplexity"].get<double>() / variants[5]["perplexity"].get<double>(), 1, 1e-5);
    EXPECT_GT(variants[5]["perplexity_ratio"].get<double>(), 1);
    EXPECT_GT(variants[5]["decode_tokens_per_s"].get<double>(), 0);

    expectRefused(with({"--prune", "reap:4"}), 2, {"--scores"});
    expectRefused(with({"--prune", "reap"}), 2, {"SCORE:N"});
    expectRefused(with({"--prune", "beauty:4"}), 2, {"beauty", "reap"});
    expectRefused(with({"--prune", "random:29"}), 2, {"random:29", "28"});
    expectRefused(with({"--prune", "reap:1", "--scores", s_session.string() + ":1"}), 2, {"layer 0", "reap"});
    expectRefused(with({"--prune", "reap:1", "--scores", s_session.string() + ":3"}), 3, {"without a deep capture"});
    expectRefused(with({"--scores", s_session}), 2, {"--prune"});
    expectRefused(with({"--top-k", "33"}), 2, {"33", "32"});
    expectRefused(with({"--threshold", "0"}), 2, {"--threshold"});
}

}  // namespace
}  // namespace expertscope::test
