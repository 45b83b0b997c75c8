// SPDX-License-Identifier: GPL-3.0-or-later
// import and export as scripts use them.

#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/app/cli/program.h"

namespace expertscope::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class ImportExport : public testing::Test {
protected:
    void SetUp() override {
        fs::remove_all(folder);
        fs::create_directories(folder);
    }
    void TearDown() override { fs::remove_all(folder); }
    fs::path write(const char* name, const std::string& text) const {
        std::ofstream(folder / name, std::ios::binary) << text;
        return folder / name;
    }
    /// `warm` equal tokens and five others, of two layers.
    fs::path table(int warm) const {
        std::string text = "token,layer,expert,weight\n";
        for (int token = 0; token < warm + 5; ++token)
            for (int layer = 0; layer < 2; ++layer)
                text += std::to_string(token) + "," + std::to_string(layer) + "," +
                        std::to_string(token < warm ? 0 : (token + layer) % 4) + ",1\n";
        return write("t.csv", text);
    }

    fs::path folder = fs::path(testing::TempDir()) / testing::UnitTest::GetInstance()->current_test_info()->name();
};

TEST_F(ImportExport, SaysHowManyRowsOfWarmUpItLeftOut) {
    const ProgramResult text = runProgram({"import", table(40), "--out", folder / "a.esdb"});
    EXPECT_EQ(text.exitCode, 0) << text.err;
    EXPECT_THAT(text.out, HasSubstr("80 rows excluded"));
    EXPECT_THAT(text.out, HasSubstr("--keep-warmup"));
    auto json = runProgram({"import", table(40), "--out", folder / "a.esdb", "--json"}).json();
    EXPECT_EQ(json["format"], "csv");
    EXPECT_EQ(json["runs"][0]["run_id"], 2);
    EXPECT_EQ(json["runs"][0]["excluded_rows"], 80);
    EXPECT_EQ(json["runs"][0]["selections"], 10);
    json = runProgram({"import", table(40), "--keep-warmup", "--out", folder / "a.esdb", "--json"}).json();
    EXPECT_EQ(json["runs"][0]["excluded_rows"], 0);
    EXPECT_EQ(json["runs"][0]["selections"], 90);
}

TEST_F(ImportExport, TakesWhatTheFileDoesNotSay) {
    auto json = runProgram({"import", table(0), "--format", "csv", "--layers", "3", "--experts", "8", "--top-k", "2",
                            "--expert-bytes", "1MiB", "--model-name", "mine", "--out", folder / "a.esdb", "--json"})
                    .json();
    const auto& model = json["runs"][0]["model"];
    EXPECT_EQ(model["name"], "mine");
    EXPECT_EQ(model["layers"], 3);
    EXPECT_EQ(model["top_k"], 2);
    EXPECT_EQ(model["total_expert_bytes"], 24 << 20);
}

TEST_F(ImportExport, WritesWhatItReadInEveryFormat) {
    const fs::path session = folder / "a.esdb";
    runProgram({"import", table(0), "--expert-bytes", "1MiB", "--out", session});
    for (const char* format : {"csv", "json", "npz", "route-trace", "chrome", "nsys-sqlite", "kt-mask", "llama-ot"}) {
        const fs::path out = folder / format;
        const ProgramResult result =
            runProgram({"export", session, "--format", format, "--out", out, "--budget", "50%", "--json"});
        EXPECT_EQ(result.exitCode, 0) << format << ": " << result.err;
        EXPECT_FALSE(result.json()["files"].empty()) << format;
        EXPECT_TRUE(fs::exists(out)) << format;
    }
    for (const char* format : {"npz", "route-trace"}) {
        auto json = runProgram({"import", folder / format, "--out", folder / "b.esdb", "--json"}).json();
        EXPECT_EQ(json["format"], format);
        EXPECT_EQ(json["runs"][0]["selections"], 10);
    }
    auto counts = runProgram({"import", folder / "kt-mask", "--out", folder / "b.esdb", "--json"}).json();
    EXPECT_EQ(counts["format"], "sglang-pt");
    EXPECT_EQ(counts["runs"][0]["selections"], 0);
    EXPECT_FALSE(counts["runs"][0]["notes"].empty()) << "counts lack much, and that must be said";
}

TEST_F(ImportExport, RefusesInOneSentence) {
    const fs::path session = folder / "a.esdb";
    const std::string csv = table(0);
    runProgram({"import", csv, "--out", session});
    expectRefused(runProgram({"import", folder / "none.csv", "--out", session}), 3, {"none.csv"});
    expectRefused(runProgram({"import", write("x", "no table"), "--out", session}), 3, {"--format", "nsys-sqlite"});
    expectRefused(runProgram({"import", csv, "--format", "npz", "--out", session}), 3, {"ZIP"});
    expectRefused(runProgram({"import", csv, "--experts", "2", "--out", session}), 2, {"--experts 2"});
    expectRefused(runProgram({"import", csv, "--expert-bytes", "25%", "--out", session}), 2, {"--expert-bytes"});
    expectRefused(runProgram({"import", csv, "--out", folder / "no/such/x.esdb"}), 1, {"no/such"});
    expectRefused(runProgram({"export", session, "--format", "kt-mask", "--out", folder / "m"}), 2, {"--budget"});
    expectRefused(runProgram({"export", session, "--format", "json", "--out", session}), 2, {"session itself"});
    expectRefused(runProgram({"export", session, "--format", "chrome", "--out", folder / "no/such/x"}), 1, {"no/such"});
}

}  // namespace
}  // namespace expertscope::test
