// SPDX-License-Identifier: GPL-3.0-or-later
#include "storage/analysis_results.h"

#include <fstream>

#include <gtest/gtest.h>

#include "engine/base/error.h"
#include "storage/session_reader.h"
#include "storage/session_writer.h"
#include "storage/sql.h"
#include "tests/storage/sample_records.h"

namespace expertscope {
namespace {

const AnalysisKey kKey{.subject = "run:1", .name = "balance:phase=decode", .version = 2};
const StoredAnalysis kResult{"24 tokens.", R"(["layer","cv"])", "[[0,0.25],[1,null]]"};

TEST(AnalysisResults, AreFoundUnderTheirSubjectNameAndVersion) {
    const TemporaryFolder folder;
    SessionWriter(folder / "s.esdb").close();
    EXPECT_EQ(keptAnalysis(folder / "s.esdb", kKey), std::nullopt) << "a session without any";
    keepAnalysis(folder / "s.esdb", kKey, kResult);
    EXPECT_EQ(keptAnalysis(folder / "s.esdb", kKey), kResult);
    EXPECT_EQ(keptAnalysis(folder / "s.esdb", {"run:2", kKey.name, 2}), std::nullopt);
    EXPECT_EQ(keptAnalysis(folder / "s.esdb", {"run:1", "balance", 2}), std::nullopt);
    EXPECT_EQ(keptAnalysis(folder / "s.esdb", {"run:1", kKey.name, 3}), std::nullopt) << "of an older version";
}

TEST(AnalysisResults, TakeTheOlderOnesPlaceAndAreSeenBySql) {
    const TemporaryFolder folder;
    SessionWriter(folder / "s.esdb").close();
    keepAnalysis(folder / "s.esdb", kKey, kResult);
    keepAnalysis(folder / "s.esdb", kKey, {"25 tokens.", "[]", "[]"});
    EXPECT_EQ(keptAnalysis(folder / "s.esdb", kKey)->counted, "25 tokens.");
    SqlQuery query(folder / "s.esdb", "select subject, counted from analysis");
    ASSERT_TRUE(query.next());
    EXPECT_EQ(std::get<std::string>(query.value(1)), "25 tokens.");
    EXPECT_FALSE(query.next());
}

TEST(AnalysisResults, CanBeKeptWhileARunIsRecorded) {
    const TemporaryFolder folder;
    SessionWriter writer(folder / "s.esdb");
    const RunId run = writer.beginRun({});
    writer.append(std::vector<SelectionRecord>(5));
    writer.commit();
    keepAnalysis(folder / "s.esdb", kKey, kResult);
    writer.append(std::vector<SelectionRecord>(3));
    writer.commit();
    writer.endRun({}, RunState::Complete);
    writer.close();
    EXPECT_EQ(keptAnalysis(folder / "s.esdb", kKey), kResult);
    ReadCursor cursor;
    EXPECT_EQ(SessionReader(folder / "s.esdb").readNew(run, cursor).selections.size(), 8U);
}

TEST(AnalysisResults, AreRefusedByWhatIsNoSession) {
    const TemporaryFolder folder;
    std::ofstream(folder / "x.txt") << "no session";
    EXPECT_THROW(keepAnalysis(folder / "x.txt", kKey, kResult), BadInputError);
    EXPECT_THROW(keptAnalysis(folder / "x.txt", kKey), BadInputError);
    EXPECT_THROW(keptAnalysis(folder / "missing.esdb", kKey), BadInputError);
}

}  // namespace
}  // namespace expertscope
