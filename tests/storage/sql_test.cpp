// SPDX-License-Identifier: GPL-3.0-or-later
#include "storage/sql.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/base/error.h"
#include "engine/base/record_names.h"
#include "storage/session_writer.h"
#include "tests/storage/sample_records.h"

namespace expertscope {
namespace {

using Row = std::vector<SqlValue>;

SqlValue id(auto value) { return value.value() < 0 ? SqlValue() : SqlValue(std::int64_t{value.value()}); }
SqlValue integer(std::int64_t value) { return value; }
SqlValue real(double value) { return std::isnan(value) ? SqlValue() : SqlValue(value); }
SqlValue word(auto value) { return std::string(name(value)); }
SqlValue timeOrNull(Nanoseconds time) { return time.count() == 0 ? SqlValue() : SqlValue(time.count()); }

/// Two runs with sample records of their own, closed.
class SqlTables : public testing::Test {
protected:
    SqlTables() {
        SessionWriter writer(file);
        for (std::uint32_t run = 0; run < 2; ++run) {
            writer.beginRun(sampleDescription(static_cast<int>(run)));
            writer.append(batches[run].spans);
            writer.append(batches[run].selections);
            writer.append(batches[run].predictions);
            writer.append(batches[run].residency);
            writer.append(batches[run].transfers);
            writer.append(batches[run].tokens);
            writer.append(sampleRequest(static_cast<int>(run)));
            writer.append(sampleDiagnostic(static_cast<int>(run)));
            writer.endRun(sampleSummary(), RunState::Complete);
        }
        writer.close();
    }

    TemporaryFolder folder;
    std::filesystem::path file = folder / "s.esdb";
    RecordBatch batches[2] = {sampleRecords(9000, 1), sampleRecords(5000, 2)};
};

TEST_F(SqlTables, GiveTheSelectionsThatWereWritten) {
    const SqlResult result = runSql(
        file, "SELECT run_id, token, layer, slot, expert, weight, outcome, first_use, action, step FROM selection");
    std::vector<Row> expected;
    for (std::int64_t run : {0, 1}) {
        for (const SelectionRecord& r : batches[run].selections) {
            expected.push_back({integer(run + 1), id(r.token), id(r.layer), integer(r.slot), id(r.expert),
                                real(static_cast<double>(r.weight)), word(r.outcome), integer(r.firstUse),
                                word(r.action), id(r.step)});
        }
    }
    EXPECT_TRUE(result.rows == expected);
}

TEST_F(SqlTables, GiveTheNormsThatWereRecorded) {
    const SqlResult result = runSql(file, "SELECT * FROM norm WHERE run_id=2");
    EXPECT_EQ(result.columns, (std::vector<std::string>{"run_id", "token", "layer", "slot", "expert", "norm"}));
    std::vector<Row> expected;
    for (const SelectionRecord& r : batches[1].selections) {
        if (std::isnan(r.norm)) continue;
        expected.push_back(
            {integer(2), id(r.token), id(r.layer), integer(r.slot), id(r.expert), real(static_cast<double>(r.norm))});
    }
    EXPECT_TRUE(result.rows == expected);
}

TEST_F(SqlTables, GiveTheSpansThatWereWritten) {
    const SqlResult result =
        runSql(file, "SELECT start_ns, end_ns, lane, kind, step, layer, expert, amount FROM span WHERE run_id=1");
    std::vector<Row> expected;
    for (const SpanRecord& r : batches[0].spans) {
        expected.push_back({integer(r.start.count()), integer(r.end.count()), id(r.lane), word(r.kind), id(r.step),
                            id(r.layer), id(r.expert), integer(r.amount)});
    }
    EXPECT_TRUE(result.rows == expected);
}

TEST_F(SqlTables, GiveTheTransfersThatWereWritten) {
    const SqlResult result =
        runSql(file,
               "SELECT id, layer, expert, slot, bytes, moved, issued_ns, started_ns, finished_ns, issued_step, "
               "issued_layer, used_step, purpose, fate FROM transfer WHERE run_id=1");
    std::vector<Row> expected;
    for (const TransferRecord& r : batches[0].transfers) {
        expected.push_back({integer(r.id), id(r.expert.layer), id(r.expert.expert), id(r.slot),
                            integer(r.bytes.count()), integer(r.moved.count()), integer(r.issued.count()),
                            timeOrNull(r.started), timeOrNull(r.finished), id(r.issuedStep), id(r.issuedLayer),
                            id(r.usedStep), word(r.purpose), word(r.fate)});
    }
    EXPECT_TRUE(result.rows == expected);
}

TEST_F(SqlTables, GiveTheResidencyThatWasWritten) {
    const SqlResult result =
        runSql(file,
               "SELECT time_ns, step, routed_layer, layer, expert, cause_layer, cause_expert, slot, change, reason, "
               "score FROM residency WHERE run_id=1");
    std::vector<Row> expected;
    for (const ResidencyRecord& r : batches[0].residency) {
        expected.push_back({integer(r.time.count()), id(r.step), id(r.layer), id(r.subject.layer), id(r.subject.expert),
                            id(r.cause.layer), id(r.cause.expert), id(r.slot), word(r.change), word(r.reason),
                            real(r.score)});
    }
    EXPECT_TRUE(result.rows == expected);
}

TEST_F(SqlTables, GiveThePredictionsThatWereWritten) {
    const SqlResult result = runSql(file,
                                    "SELECT token, from_layer, target_layer, rank, expert, score, predictor, step "
                                    "FROM prediction WHERE run_id=2");
    std::vector<Row> expected;
    for (const PredictionRecord& r : batches[1].predictions) {
        expected.push_back({id(r.token), id(r.fromLayer), id(r.targetLayer), integer(r.rank), id(r.expert),
                            real(static_cast<double>(r.score)), word(r.predictor), id(r.step)});
    }
    EXPECT_TRUE(result.rows == expected);
}

TEST_F(SqlTables, AnswerConditionsOnTokensAsAScanWould) {
    const auto count = [&](const std::string& condition) {
        return std::get<std::int64_t>(runSql(file, "SELECT count(*) FROM selection WHERE " + condition).rows[0][0]);
    };
    // `+token` keeps SQLite from handing the condition to the table.
    for (const char* condition : {"= 130", "> 130", ">= 130", "< 5", "<= 5", "BETWEEN 100 AND 200", "> 1.5", "= NULL",
                                  "> -9223372036854775808", "IN (3, 250, 9999)"}) {
        const std::string text = condition;
        EXPECT_EQ(count("token " + text), count("+token " + text)) << text;
        EXPECT_EQ(count("run_id = 2 AND token " + text), count("+run_id = 2 AND +token " + text)) << text;
    }
    EXPECT_EQ(count("token = 130"), 64) << "32 of each run";
    EXPECT_EQ(count("run_id = 3"), 0);
}

TEST_F(SqlTables, AnswerEveryConditionAsAScanWould) {
    // `+x` keeps SQLite from handing the condition to the table.
    struct Condition {
        const char* table;
        const char* column;
        const char* test;
    };
    for (const auto& [table, column, test] :
         std::initializer_list<Condition>{{"selection", "layer", "= 3"},
                                          {"selection", "layer", "> 5"},
                                          {"selection", "expert", "BETWEEN 17 AND 29"},
                                          {"selection", "expert", "< 2.5"},
                                          {"selection", "slot", "IN (0, 3, 9)"},
                                          {"selection", "first_use", "= 1"},
                                          {"selection", "first_use", "= 1.0"},
                                          {"selection", "outcome", "= 'in-flight'"},
                                          {"selection", "outcome", "= 'nowhere'"},
                                          {"selection", "outcome", "= 'MISS' COLLATE NOCASE"},
                                          {"selection", "action", "IN ('dropped', 'run')"},
                                          {"selection", "step", "IS NULL"},
                                          {"selection", "step", "<= 5"},
                                          {"selection", "weight", "> 2"},
                                          {"norm", "expert", "= 5"},
                                          {"norm", "norm", "< 0"},
                                          {"span", "layer", "= NULL"},
                                          {"span", "layer", "IS NOT NULL"},
                                          {"span", "kind", "= 'wait'"},
                                          {"span", "kind", "= 'unknown'"},
                                          {"span", "kind", "> 'p'"},
                                          {"span", "amount", "= 9223372036854775807"},
                                          {"span", "amount", "< -1"},
                                          {"span", "start_ns", "> 1000010000000"},
                                          {"span", "start_ns", "BETWEEN 1000000500000 AND 1000000900000"},
                                          {"span", "end_ns", "<= 1000001000000"},
                                          {"span", "end_ns", "> 1000012000000.5"},
                                          {"transfer", "issued_ns", "< 1000009000000"},
                                          {"transfer", "started_ns", "IS NULL"},
                                          {"transfer", "finished_ns", "< 1000009000000"},
                                          {"transfer", "fate", "= 'late'"},
                                          {"residency", "time_ns", ">= 1000015000000"},
                                          {"residency", "change", "= 'evict'"},
                                          {"prediction", "rank", "= -1"},
                                          {"prediction", "predictor", "= 'own-gate'"}}) {
        const std::string from = std::string("SELECT count(*), max(run_id) FROM ") + table + " WHERE ";
        const std::string condition = std::string(column) + " " + test;
        const std::vector<Row> scanned = runSql(file, from + "+" + condition).rows;
        EXPECT_TRUE(runSql(file, from + condition).rows == scanned) << table << ": " << condition;
        EXPECT_TRUE(runSql(file, from + "run_id = 2 AND " + condition).rows ==
                    runSql(file, from + "+run_id = 2 AND +" + condition).rows)
            << table << ": " << condition;
    }
    const SqlValue waits = runSql(file, "SELECT count(*) FROM span WHERE kind = 'wait' AND run_id = 1").rows[0][0];
    EXPECT_EQ(waits, SqlValue(std::ranges::count(batches[0].spans, SpanKind::Wait, &SpanRecord::kind)));
}

TEST_F(SqlTables, CountRowsWithoutLookingAtThem) {
    EXPECT_EQ(runSql(file, "SELECT count(*) FROM selection").rows[0][0], integer(14'000));
    EXPECT_EQ(runSql(file, "SELECT count(*) FROM prediction WHERE run_id = 1").rows[0][0], integer(9000));
}

TEST_F(SqlTables, JoinWithOneAnother) {
    const SqlResult result =
        runSql(file,
               "SELECT count(*) FROM token t LEFT JOIN selection s ON s.run_id = t.run_id AND s.token = t.token AND "
               "s.layer = 3 WHERE t.run_id = 2 AND t.token < 3");
    std::int64_t expected = 0;
    for (int token = 0; token < 3; ++token) {
        const auto matches = std::ranges::count_if(batches[1].selections, [&](const SelectionRecord& record) {
            return record.token == TokenIndex(token) && record.layer == LayerIndex(3);
        });
        expected += std::max<std::int64_t>(matches, 1);
    }
    EXPECT_EQ(result.rows[0][0], integer(expected));
}

TEST_F(SqlTables, JoinWithRowTables) {
    const SqlResult result = runSql(file,
                                    "SELECT t.text, count(*) FROM token t JOIN selection s USING(run_id, token) "
                                    "WHERE run_id=1 AND token IN (0, 1) GROUP BY token ORDER BY token");
    const std::vector<Row> expected{{std::string("\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBDz"), integer(32)},
                                    {std::string(" wörd"), integer(32)}};
    EXPECT_TRUE(result.rows == expected);
}

TEST_F(SqlTables, TellRunsAndTokensAsRows) {
    const SqlResult runs = runSql(file, "SELECT run_id, state, policy, budget_bytes FROM run");
    ASSERT_EQ(runs.rows.size(), 2u);
    EXPECT_EQ(runs.rows[1],
              (Row{integer(2), std::string("complete"), std::string("on-demand"), integer(1'000'000'007)}));
    const SqlResult tokens = runSql(file, "SELECT bytes FROM token WHERE run_id=1 AND token=0");
    EXPECT_EQ(tokens.rows.at(0).at(0), SqlValue(SqlBlob{batches[0].tokens[0].bytes}));
}

TEST_F(SqlTables, CannotBeWritten) {
    for (const char* query :
         {"DELETE FROM run", "UPDATE token SET text=''", "DROP TABLE chunk", "INSERT INTO selection DEFAULT VALUES",
          "ATTACH 'x.db' AS x", "PRAGMA user_version=9", "PRAGMA query_only=0", "VACUUM", "CREATE TABLE x(y)", "BEGIN",
          "CREATE TEMP TABLE x(y)"}) {
        try {
            runSql(file, query);
            ADD_FAILURE() << query << " was accepted";
        } catch (const UsageError& error) { EXPECT_THAT(error.what(), testing::HasSubstr("SQL query")) << query; }
    }
    EXPECT_EQ(runSql(file, "SELECT * FROM run").rows.size(), 2u);
}

TEST_F(SqlTables, SayWhatIsWrongWithAQuery) {
    const auto sentenceOf = [&](const char* query) -> std::string {
        try {
            runSql(file, query);
            return "";
        } catch (const UsageError& error) { return error.what(); }
    };
    EXPECT_THAT(sentenceOf("SELECT * FROM nowhere"), testing::HasSubstr("no such table: nowhere"));
    EXPECT_THAT(sentenceOf("SELECT * FROM nowhere"), testing::HasSubstr("selection"));
    EXPECT_THAT(sentenceOf("SELEC 1"), testing::HasSubstr("syntax error"));
    EXPECT_THAT(sentenceOf(""), testing::HasSubstr("empty"));
    EXPECT_THAT(sentenceOf("SELECT 1; SELECT 2"), testing::HasSubstr("more than one"));
    EXPECT_EQ(sentenceOf("SELECT 1; "), "");
}

TEST(SqlOverARunningSession, SeesWhatIsCommittedAndWhoIsAlive) {
    const TemporaryFolder folder;
    SessionWriter writer(folder / "s.esdb");
    writer.beginRun(sampleDescription());
    writer.append(sampleRecords(10).selections);
    EXPECT_EQ(runSql(folder / "s.esdb", "SELECT * FROM selection").rows.size(), 0u);
    writer.commit();
    EXPECT_EQ(runSql(folder / "s.esdb", "SELECT * FROM selection").rows.size(), 10u);
    EXPECT_EQ(runSql(folder / "s.esdb", "SELECT state FROM run").rows[0][0], SqlValue(std::string("running")));
}

}  // namespace
}  // namespace expertscope
