// SPDX-License-Identifier: GPL-3.0-or-later
// Files of every format version are read, and what is appended to an old one is kept whole.

#include <fstream>
#include <iterator>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include "storage/chunk_codec.h"
#include "storage/schema.h"
#include "storage/session_reader.h"
#include "storage/session_writer.h"
#include "storage/sql.h"
#include "tests/storage/sample_records.h"
#include "tests/storage/stored_sessions.h"

namespace expertscope {
namespace {

/// A column of width 1 as docs/FORMAT.md says.
std::string column(std::int64_t base, std::initializer_list<int> distances) {
    std::string bytes(1, '\1');
    bytes.append(reinterpret_cast<const char*>(&base), sizeof base);
    for (const int distance : distances)
        bytes.push_back(static_cast<char>(distance));
    return bytes;
}

/// Two selections written by hand: step, token, layer, slot, expert, weight, norm, outcome, first use.
std::string selectionsOfVersion1() {
    const std::int64_t half = 0x3f000000, quarter = 0x3e800000;  // 0.5 and 0.25 as float32
    return column(7, {0, 0}) + column(40, {0, 1}) + column(2, {0, 0}) + column(0, {0, 1}) + column(9, {2, 0}) +
           column(half, {0, 0}) + column(quarter, {0, 0}) + column(0, {2, 0}) + column(0, {1, 0});
}

TEST(SelectionChunk, OfVersion1IsReadAsRun) {
    std::vector<SelectionRecord> records;
    decodeChunk<SelectionRecord>(kEncodingFrame, 2, selectionsOfVersion1(), records);
    ASSERT_EQ(records.size(), 2U);
    EXPECT_EQ(records[0].expert, ExpertId(11));
    EXPECT_EQ(records[0].outcome, Outcome::Miss);
    EXPECT_TRUE(records[0].firstUse);
    EXPECT_EQ(records[1].token, TokenIndex(41));
    EXPECT_FLOAT_EQ(records[1].weight, 0.5F);
    for (const SelectionRecord& record : records)
        EXPECT_EQ(record.action, SelectionAction::Run);
}

TEST(SelectionChunk, OfVersion2HasOneColumnMore) {
    std::vector<SelectionRecord> records;
    decodeChunk<SelectionRecord>(kEncodingActions, 2, selectionsOfVersion1() + column(0, {3, 4}), records);
    ASSERT_EQ(records.size(), 2U);
    EXPECT_EQ(records[0].action, SelectionAction::Dropped);
    EXPECT_EQ(records[1].action, SelectionAction::Substituted);
}

TEST(SelectionChunk, IsRefusedUnderAnEncodingThatItsBytesAreNotOf) {
    std::vector<SelectionRecord> records;
    EXPECT_THROW(decodeChunk<SelectionRecord>(kEncodingActions, 2, selectionsOfVersion1(), records), DamagedChunk);
    EXPECT_THROW(decodeChunk<SelectionRecord>(4, 2, selectionsOfVersion1(), records), DamagedChunk);
    EXPECT_THROW(decodeChunk<SelectionRecord>(0, 2, selectionsOfVersion1(), records), DamagedChunk);
    std::vector<SpanRecord> spans;
    const std::string empty = ChunkEncoder<SpanRecord>().take().bytes;
    EXPECT_THROW(decodeChunk<SpanRecord>(kEncodingActions, 0, empty, spans), DamagedChunk);
    EXPECT_THROW(decodeChunk<SpanRecord>(kEncodingFrame, 0, empty, spans), DamagedChunk);
    EXPECT_TRUE(records.empty());
}

std::string bytesOf(const std::filesystem::path& file) {
    std::ifstream in(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

/// The rows of a query, cells separated by bars.
std::vector<std::string> rowsOf(const std::filesystem::path& file, const std::string& query) {
    std::vector<std::string> rows;
    for (const std::vector<SqlValue>& values : runSql(file, query).rows) {
        std::string& row = rows.emplace_back();
        for (const SqlValue& value : values) {
            if (!row.empty()) row += '|';
            if (const auto* integer = std::get_if<std::int64_t>(&value)) row += std::to_string(*integer);
            if (const auto* text = std::get_if<std::string>(&value)) row += *text;
        }
    }
    return rows;
}

struct Stored {
    int version;
    int runs;
    std::vector<std::string> sums;  ///< of kSums, as programs of version 2 told them
};

/// One query a kind of record: every column goes into a sum.
const char* const kSums[] = {
    "SELECT count(*), sum(token), sum(layer * slot), sum(expert * (slot + 1)), CAST(round(sum(weight)) AS INTEGER), "
    "sum(outcome = 'miss'), sum(first_use), sum(step), min(action), max(action) FROM selection WHERE run_id < 3",
    "SELECT count(*), CAST(sum(norm) AS INTEGER) FROM norm WHERE run_id < 3",
    "SELECT count(*), sum(start_ns % 1000003), sum(end_ns - start_ns), sum(lane), sum(kind = 'wait'), sum(step), "
    "sum(layer), sum(expert), sum(amount) FROM span WHERE run_id < 3",
    "SELECT count(*), sum(id), sum(layer * expert), sum(slot), sum(bytes), sum(moved), sum(finished_ns - started_ns), "
    "sum(started_ns - issued_ns), sum(used_step), sum(fate = 'late') FROM transfer WHERE run_id < 3",
    "SELECT count(*), sum(time_ns % 1000003), sum(step), sum(layer * expert), sum(cause_layer * cause_expert), "
    "sum(slot), sum(change = 'evict'), CAST(sum(score) AS INTEGER) FROM residency WHERE run_id < 3",
    "SELECT count(*), sum(token), sum(from_layer), sum(target_layer), sum(expert * (rank + 1)), "
    "CAST(sum(score) AS INTEGER), sum(predictor = 'pre-gate') FROM prediction WHERE run_id < 3"};

std::vector<std::string> sumsOf(const std::filesystem::path& file) {
    std::vector<std::string> sums;
    for (const char* query : kSums)
        sums.push_back(rowsOf(file, query).at(0));
    return sums;
}

class StoredSession : public testing::TestWithParam<Stored> {
protected:
    TemporaryFolder folder;
    std::filesystem::path file = storedSession(GetParam().version, folder.path());
};

TEST_P(StoredSession, IsReadAsItIs) {
    const std::string before = bytesOf(file);
    EXPECT_EQ(sumsOf(file), GetParam().sums);
    {
        const SessionReader reader(file);
        EXPECT_EQ(static_cast<int>(reader.runs().size()), GetParam().runs);
        std::size_t spans = 0;
        for (const RunEntry& run : reader.runs()) {
            EXPECT_EQ(run.state, RunState::Complete);
            ReadCursor cursor;
            for (RecordBatch batch; !(batch = reader.readNew(run.id, cursor)).empty();)
                spans += batch.spans.size();
        }
        EXPECT_EQ(rowsOf(file, "SELECT count(*) FROM span").at(0), std::to_string(spans));
    }
    EXPECT_EQ(bytesOf(file), before) << "reading changed the file";
}

/// Tables and indexes that every session of this version has, or may have.
std::vector<std::string> structureOf(const std::filesystem::path& file) {
    return rowsOf(file,
                  "SELECT type, name, sql FROM main.sqlite_schema WHERE name NOT IN "
                  "('layer_expert_bytes', 'run_cost', 'range_name') ORDER BY name");
}

TEST_P(StoredSession, BecomesOneOfThisVersionWhenSomethingIsAdded) {
    const RecordBatch batch = sampleRecords(5000);
    const auto append = [&](const std::filesystem::path& to) {
        SessionWriter writer(to);
        const RunId run = writer.beginRun(sampleDescription(2));
        writer.append(batch.selections);
        writer.append(batch.spans);
        writer.endRun(sampleSummary(), RunState::Complete);
        writer.close();
        return run;
    };
    const std::string condition = " WHERE run_id <= " + std::to_string(GetParam().runs);
    const auto oldRuns = [&] {
        return rowsOf(file, "SELECT count(*), sum(expert), sum(token) FROM selection" + condition);
    };
    const std::vector<std::string> before = oldRuns();
    const RunId added = append(file);
    EXPECT_EQ(oldRuns(), before);
    EXPECT_EQ(added, RunId(GetParam().runs + 1));
    append(folder / "fresh.esdb");
    EXPECT_EQ(structureOf(file), structureOf(folder / "fresh.esdb"));
    const SessionReader reader(file);
    ReadCursor cursor;
    EXPECT_EQ(texts(reader.readNew(added, cursor).selections), texts(batch.selections));
    sqlite3* database = nullptr;
    ASSERT_EQ(sqlite3_open_v2(file.c_str(), &database, SQLITE_OPEN_READONLY, nullptr), SQLITE_OK);
    sqlite3_stmt* version = nullptr;
    ASSERT_EQ(sqlite3_prepare_v2(database, "PRAGMA user_version", -1, &version, nullptr), SQLITE_OK);
    ASSERT_EQ(sqlite3_step(version), SQLITE_ROW);
    EXPECT_EQ(sqlite3_column_int64(version, 0), kFormatVersion);
    sqlite3_finalize(version);
    sqlite3_close(database);
}

std::vector<Stored> storedSessions() {
    return {{1,
             1,
             {"1696|44096|8904|68063|424|143|1631|36096|run|run", "1696|135587",
              "6044|2985563355|9303150216|98309|983|133650|20013|57220|108716324",
              "983|482653|49611|30287|108711936|108711936|1832230699|10178950315|20013|847",
              "1902|987395990|40026|95728|97765|58558|919|1161550", "5300|137800|14204|22896|211702|498|1484"}},
            {2,
             2,
             {"1344|13440|7056|53804|336|585|1207|7680|run|run", "1344|108688",
              "4569|2322608534|8541295401|86923|863|29207|15215|47514|96107912",
              "869|188428|45889|26819|96104448|96104448|1662301306|9867892824|4675|363",
              "1610|788836038|9350|84856|88600|49606|741|361472", "4200|42000|11256|18144|167841|389|1176"}}};
}

INSTANTIATE_TEST_SUITE_P(Version, StoredSession, testing::ValuesIn(storedSessions()),
                         [](const auto& stored) { return std::to_string(stored.param.version); });

}  // namespace
}  // namespace expertscope
