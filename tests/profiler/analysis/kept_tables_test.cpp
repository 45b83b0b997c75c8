// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/analysis/kept_tables.h"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "storage/analysis_results.h"
#include "storage/session_writer.h"
#include "tests/storage/sample_records.h"

namespace expertscope {
namespace {

TEST(KeptTables, ComeBackAsTheyWereWithNothingWhereThereWasNoNumber) {
    const TemporaryFolder folder;
    SessionWriter(folder / "s.esdb").close();
    const AnalysisInfo& info = analysisCatalogue().front();
    const AnalysisTable table{
        "3 tokens.",
        {"layer", "cv", "text", "none"},
        {{std::int64_t{7}, 0.1, std::string("a \"b\" \xC3"), AnalysisCell{}},
         {std::int64_t{-1}, std::numeric_limits<double>::quiet_NaN(), std::string(), AnalysisCell{}}}};
    EXPECT_FALSE(keptTable(folder / "s.esdb", subjectOf(RunId(1)), info, "balance"));
    keepTable(folder / "s.esdb", subjectOf(RunId(1)), info, "balance", table);
    const auto kept = keptTable(folder / "s.esdb", subjectOf(RunId(1)), info, "balance");
    ASSERT_TRUE(kept);
    EXPECT_EQ(kept->counted, table.counted);
    EXPECT_EQ(kept->columns, table.columns);
    EXPECT_EQ(kept->rows[0][0], table.rows[0][0]);
    EXPECT_EQ(kept->rows[0][1], table.rows[0][1]) << "to the last digit";
    EXPECT_EQ(std::get<std::string>(kept->rows[0][2]), "a \"b\" \xEF\xBF\xBD") << "half a character is U+FFFD";
    EXPECT_TRUE(std::holds_alternative<std::monostate>(kept->rows[1][1]));
    EXPECT_FALSE(keptTable(folder / "s.esdb", subjectOf(RunId(2)), info, "balance"));
    AnalysisInfo newer = info;
    newer.version = info.version + 1;
    EXPECT_FALSE(keptTable(folder / "s.esdb", subjectOf(RunId(1)), newer, "balance")) << "the formula has changed";
}

TEST(KeptTables, AreComputedAgainWhereTheyAreNoTables) {
    const TemporaryFolder folder;
    SessionWriter(folder / "s.esdb").close();
    const AnalysisInfo& info = analysisCatalogue().front();
    for (const char* rows : {"[[1,2]]", "not json", "{}"}) {
        keepAnalysis(folder / "s.esdb", {"run:1", "balance", info.version}, {"", "[\"one\"]", rows});
        EXPECT_FALSE(keptTable(folder / "s.esdb", "run:1", info, "balance")) << rows;
    }
}

}  // namespace
}  // namespace expertscope
