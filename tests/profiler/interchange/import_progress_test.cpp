// SPDX-License-Identifier: GPL-3.0-or-later
// What an import tells while it goes on, and what is left of one that is ended.
#include <fmt/format.h>

#include "storage/session_writer.h"
#include "tests/profiler/interchange/import_fixture.h"

namespace expertscope {
namespace {

using Stage = ImportProgress::Stage;

struct StopIt {};

class ImportProgressTest : public ImportTest {
protected:
    static constexpr int kRows = 20'000;
    std::filesystem::path table() {
        std::string text = "token,layer,expert\n";
        for (int t = 0; t < kRows; ++t)
            text += fmt::format("{},0,{}\n", t, t % 5);
        return write("routes.csv", text);
    }
    std::filesystem::path trace() {
        std::string text = "[";
        for (int i = 0; i < kRows; ++i)
            text += fmt::format("{}{{\"ph\":\"X\",\"name\":\"n\",\"pid\":1,\"tid\":1,\"ts\":{},\"dur\":1}}",
                                i == 0 ? "" : ",", i);
        return write("trace.json", text + "]");
    }
    /// Imports a file, and ends that when `stage` is told of for the first time.
    void endAt(Stage stage, const std::filesystem::path& file) {
        ImportOptions options;
        options.progress = [&](const ImportProgress& progress) {
            if (progress.stage == stage) throw StopIt();
        };
        EXPECT_THROW(importFile(importFormat("auto", file), file, session(), options), StopIt);
    }
};

TEST_F(ImportProgressTest, TellsBothStagesAndHowManyRowsThereAre) {
    for (const std::filesystem::path& file : {table(), trace(), sampleFile("imatrix.gguf")}) {
        std::vector<ImportProgress> told;
        ImportOptions options;
        options.progress = [&](const ImportProgress& progress) { told.push_back(progress); };
        const ImportedRun run = importFile(importFormat("auto", file), file, session(), options);
        ASSERT_FALSE(told.empty()) << file;
        EXPECT_TRUE(std::ranges::is_sorted(told, {}, &ImportProgress::stage)) << file;
        EXPECT_EQ(told.back().stage, Stage::Writing) << file;
        for (const ImportProgress& progress : told) {
            EXPECT_GE(progress.rows, 0) << file;
            EXPECT_LE(progress.rows, run.rows) << file;
            EXPECT_LE(progress.share, 1) << file;
        }
    }
}

TEST_F(ImportProgressTest, LeavesNoNewSessionWhereverItIsEnded) {
    for (const std::filesystem::path& file : {table(), trace()}) {
        for (const Stage stage : {Stage::Reading, Stage::Writing}) {
            endAt(stage, file);
            EXPECT_FALSE(std::filesystem::exists(session())) << file;
            EXPECT_FALSE(std::filesystem::exists(session().string() + "-wal")) << file;
        }
    }
}

TEST_F(ImportProgressTest, TakesAwayANewSessionThatItHadBegunToWrite) {
    const std::filesystem::path file = table();
    ImportOptions options;
    bool seen = false;
    options.progress = [&](const ImportProgress& progress) {
        if (progress.stage != Stage::Writing || progress.rows == 0) return;
        seen = std::filesystem::exists(session());
        throw StopIt();
    };
    EXPECT_THROW(importFile(importFormat("auto", file), file, session(), options), StopIt);
    EXPECT_TRUE(seen);
    EXPECT_FALSE(std::filesystem::exists(session()));
}

TEST_F(ImportProgressTest, LeavesASessionThatThereWasAsItWasUntilItWrites) {
    const std::filesystem::path file = table();
    import(file);
    endAt(Stage::Reading, file);
    endAt(Stage::Writing, file);
    const std::vector<RunEntry> runs = SessionReader(session()).runs();
    ASSERT_EQ(runs.size(), 1U);
    EXPECT_EQ(runs.front().state, RunState::Complete);
}

TEST_F(ImportProgressTest, SaysWhatASizeOfAnExpertMustBe) {
    EXPECT_EQ(expertBytesOf("", "x").count(), 0);
    EXPECT_EQ(expertBytesOf("2KiB", "x"), Bytes(2048));
    for (const char* wrong : {"25%", "0", "much"})
        EXPECT_THROW(expertBytesOf(wrong, "--expert-bytes"), UsageError) << wrong;
}

}  // namespace
}  // namespace expertscope
