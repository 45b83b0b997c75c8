// SPDX-License-Identifier: GPL-3.0-or-later
// Rows by groups, against SQLite's own sorting: where the column of a GROUP BY is an expression, a scan cannot help.
#include "storage/record_groups.h"

#include <algorithm>
#include <map>
#include <random>
#include <tuple>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "storage/record_tables.h"
#include "storage/session_writer.h"
#include "storage/sql.h"
#include "tests/storage/sample_records.h"

namespace expertscope {
namespace {

class Groups : public testing::Test {
protected:
    Groups() {
        std::mt19937 random(5);
        for (int i = 0; i < 30'000; ++i) {
            SelectionRecord& record = selections.emplace_back();
            record.token = TokenIndex(i / 12);
            record.step = StepIndex(i / 12);
            record.layer = LayerIndex(static_cast<std::int32_t>(random() % 4) - 1);  // -1 is NULL
            record.expert = ExpertId(static_cast<std::int32_t>(random() % 9));
            record.slot = i % 3;
            record.weight = static_cast<float>(random() % 100) / 100;
            record.outcome = static_cast<Outcome>(random() % 3);
            record.firstUse = random() % 2 == 0;
        }
        SessionWriter writer(file);
        for (int run = 0; run < 2; ++run) {
            writer.beginRun(sampleDescription(run));
            writer.append(selections);
            writer.endRun(sampleSummary(), RunState::Complete);
        }
        writer.close();
    }
    TemporaryFolder folder;
    std::filesystem::path file = folder / "s.esdb";
    std::vector<SelectionRecord> selections;
};

TEST_F(Groups, AnswerAsSqliteWouldAfterSorting) {
    const std::pair<const char*, const char*> questions[] = {
        {"SELECT layer, expert, count(*), round(sum(weight), 3), sum(outcome = 'miss') FROM selection GROUP BY layer, "
         "expert",
         "SELECT layer, expert, count(*), round(sum(weight), 3), sum(outcome = 'miss') FROM selection GROUP BY +layer, "
         "+expert"},
        {"SELECT outcome, run_id, min(token), max(token) FROM selection WHERE token > 100 GROUP BY outcome, run_id",
         "SELECT outcome, run_id, min(token), max(token) FROM selection WHERE token > 100 GROUP BY +outcome, +run_id"},
        {"SELECT DISTINCT slot, layer FROM selection WHERE run_id = 2 ORDER BY slot DESC, layer",
         "SELECT DISTINCT +slot, +layer FROM selection WHERE run_id = 2 ORDER BY 1 DESC, 2"},
        {"SELECT expert, layer FROM selection WHERE token = 77 ORDER BY expert, layer",
         "SELECT expert, layer FROM selection WHERE token = 77 ORDER BY +expert, +layer"},
        {"SELECT outcome FROM selection WHERE token < 9 ORDER BY outcome",
         "SELECT outcome FROM selection WHERE token < 9 ORDER BY +outcome"},
        {"SELECT expert, count(*) FROM selection GROUP BY expert ORDER BY count(*) DESC, expert LIMIT 4",
         "SELECT expert, count(*) FROM selection GROUP BY +expert ORDER BY count(*) DESC, expert LIMIT 4"},
        {"SELECT layer, count(*) FROM selection WHERE token = -5 GROUP BY layer",
         "SELECT layer, count(*) FROM selection WHERE token = -5 GROUP BY +layer"}};
    for (const auto& [asked, sorted] : questions) {
        auto got = runSql(file, asked).rows, expected = runSql(file, sorted).rows;
        EXPECT_EQ(got, expected) << asked;
    }
}

TEST_F(Groups, DoNotLetSqliteSort) {
    for (const char* sql :
         {"SELECT layer, expert, count(*) FROM selection GROUP BY layer, expert",
          "SELECT kind, lane FROM span GROUP BY 2, 1 ORDER BY 2, 1", "SELECT layer FROM selection ORDER BY layer"}) {
        std::string plan;
        Database database(file, OpenMode::Existing);
        ASSERT_EQ(registerRecordTables(database.handle()), SQLITE_OK);
        Statement row(database.handle(), std::string("EXPLAIN QUERY PLAN ") + sql);
        while (row.step())
            plan += row.text(3);
        EXPECT_THAT(plan, testing::Not(testing::HasSubstr("TEMP B-TREE"))) << sql;
    }
}

/// However little may be kept at a time, every row comes once, with its group, and groups ascend.
TEST_F(Groups, GiveTheSameRowsWhateverMayBeKept) {
    const auto tables = recordTables();
    const RecordTable& table =
        *std::ranges::find_if(tables, [](const RecordTable& t) { return std::string_view(t.name) == "selection"; });
    const int token = 1, layer = 2, expert = 4;
    for (const std::size_t most : {std::size_t{1}, std::size_t{9000}, RecordGroups::kMostValues}) {
        Database database(file, OpenMode::Existing);
        RecordScan scan(table, database.handle());
        RecordGroups groups(table, scan, most);
        scan.start({}, nullptr, 1U << token | 1U << layer | 1U << expert);
        groups.start({layer, expert});
        const auto sourceOf = [&](int column) { return table.columns[static_cast<std::size_t>(column) - 1].source; };
        std::vector<std::tuple<std::int64_t, std::int64_t, std::int64_t, std::int64_t>> rows;
        for (; !groups.ended(); groups.next())
            rows.emplace_back(groups.stored(sourceOf(layer)), groups.stored(sourceOf(expert)), groups.rowId(),
                              groups.stored(sourceOf(token)));
        EXPECT_TRUE(std::ranges::is_sorted(rows)) << "by layer, expert and, as they were recorded, row";
        ASSERT_EQ(rows.size(), 2 * selections.size());
        std::map<std::tuple<std::int64_t, std::int64_t, std::int64_t>, int> counted;
        for (const auto& [ofLayer, ofExpert, row, ofToken] : rows)
            ++counted[{ofLayer, ofExpert, ofToken}];
        for (const SelectionRecord& record : selections)
            counted[{record.layer.value(), record.expert.value(), record.token.value()}] -= 2;
        EXPECT_TRUE(std::ranges::all_of(counted, [](const auto& each) { return each.second == 0; }));
    }
}

TEST(RangeNames, AreATableOfEverySession) {
    const TemporaryFolder folder;
    const std::filesystem::path file = folder / "s.esdb";
    {
        SessionWriter writer(file);
        writer.beginRun(sampleDescription());
    }
    const char* const asked = "SELECT text, count(*) FROM range JOIN range_name USING (run_id, name_id) GROUP BY 1";
    EXPECT_TRUE(runSql(file, asked).rows.empty());
}

}  // namespace
}  // namespace expertscope
