// SPDX-License-Identifier: GPL-3.0-or-later
// Files of every format version are read, and what is appended to an old one is kept whole.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include "storage/chunk_codec.h"
#include "storage/schema.h"
#include "storage/session_reader.h"
#include "storage/session_writer.h"
#include "tests/storage/sample_records.h"

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
    EXPECT_EQ(encodeChunk<SelectionRecord>(records).back(), '\1');  // 4 − 3, the last distance
}

TEST(SelectionChunk, IsRefusedUnderAnEncodingThatItsBytesAreNotOf) {
    std::vector<SelectionRecord> records;
    EXPECT_THROW(decodeChunk<SelectionRecord>(kEncodingActions, 2, selectionsOfVersion1(), records), DamagedChunk);
    EXPECT_THROW(decodeChunk<SelectionRecord>(3, 2, selectionsOfVersion1(), records), DamagedChunk);
    EXPECT_THROW(decodeChunk<SelectionRecord>(0, 2, selectionsOfVersion1(), records), DamagedChunk);
    std::vector<SpanRecord> spans;
    EXPECT_THROW(decodeChunk<SpanRecord>(kEncodingActions, 0, encodeChunk<SpanRecord>({}), spans), DamagedChunk);
    EXPECT_TRUE(records.empty());
}

/// Makes of a session what a program of version 1 would have written: selections without their last column, which is
/// of width 1 here.
void turnIntoVersion1(const std::filesystem::path& file) {
    sqlite3* database = nullptr;
    ASSERT_EQ(sqlite3_open(file.c_str(), &database), SQLITE_OK);
    const char* const sql =
        "UPDATE chunk SET data = substr(data, 1, length(data) - 9 - count), encoding = 1 WHERE kind = 'selection';"
        "PRAGMA user_version = 1";
    ASSERT_EQ(sqlite3_exec(database, sql, nullptr, nullptr, nullptr), SQLITE_OK) << sqlite3_errmsg(database);
    sqlite3_close(database);
}

void writeRun(const std::filesystem::path& file, const RecordBatch& batch) {
    SessionWriter writer(file);
    writer.beginRun(sampleDescription());
    writer.append(batch.selections);
    writer.append(batch.spans);
    writer.endRun(sampleSummary(), RunState::Complete);
    writer.close();
}

std::vector<SelectionRecord> selectionsOf(const SessionReader& reader, RunId run) {
    ReadCursor cursor;
    return reader.readNew(run, cursor, 256).selections;
}

TEST(FileOfVersion1, IsReadAndBecomesOneOfThisVersionWhenAppendedTo) {
    const TemporaryFolder folder;
    const auto file = folder / "s.esdb";
    const RecordBatch batch = sampleRecords(5000);
    writeRun(file, batch);
    turnIntoVersion1(file);
    std::vector<SelectionRecord> old = batch.selections;
    for (SelectionRecord& record : old)
        record.action = SelectionAction::Run;
    {
        const SessionReader reader(file);
        EXPECT_EQ(texts(selectionsOf(reader, RunId(1))), texts(old));
    }
    writeRun(file, batch);
    const SessionReader reader(file);
    EXPECT_EQ(texts(selectionsOf(reader, RunId(1))), texts(old));
    EXPECT_EQ(texts(selectionsOf(reader, RunId(2))), texts(batch.selections));
    sqlite3* database = nullptr;
    ASSERT_EQ(sqlite3_open_v2(file.c_str(), &database, SQLITE_OPEN_READONLY, nullptr), SQLITE_OK);
    sqlite3_stmt* version = nullptr;
    ASSERT_EQ(sqlite3_prepare_v2(database, "PRAGMA user_version", -1, &version, nullptr), SQLITE_OK);
    ASSERT_EQ(sqlite3_step(version), SQLITE_ROW);
    EXPECT_EQ(sqlite3_column_int64(version, 0), kFormatVersion);
    sqlite3_finalize(version);
    sqlite3_close(database);
}

}  // namespace
}  // namespace expertscope
