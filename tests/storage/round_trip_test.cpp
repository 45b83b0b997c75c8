// SPDX-License-Identifier: GPL-3.0-or-later
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/base/error.h"
#include "storage/session_reader.h"
#include "storage/session_writer.h"
#include "tests/storage/sample_records.h"

namespace expertscope {
namespace {

void appendAll(SessionWriter& writer, const RecordBatch& batch) {
    writer.append(batch.spans);
    writer.append(batch.selections);
    writer.append(batch.predictions);
    writer.append(batch.residency);
    writer.append(batch.transfers);
    writer.append(batch.tokens);
}

RecordBatch readAll(const SessionReader& reader, RunId run, int maxChunks = 256) {
    ReadCursor cursor;
    RecordBatch all;
    for (RecordBatch part; !(part = reader.readNew(run, cursor, maxChunks)).empty();) {
        addTo(all, part);
    }
    return all;
}

void expectSame(const RecordBatch& actual, const RecordBatch& expected) {
    EXPECT_EQ(texts(actual.spans), texts(expected.spans));
    EXPECT_EQ(texts(actual.selections), texts(expected.selections));
    EXPECT_EQ(texts(actual.predictions), texts(expected.predictions));
    EXPECT_EQ(texts(actual.residency), texts(expected.residency));
    EXPECT_EQ(texts(actual.transfers), texts(expected.transfers));
    EXPECT_EQ(texts(actual.tokens), texts(expected.tokens));
}

TEST(Session, GivesBackEveryFieldOfEveryRecord) {
    const TemporaryFolder folder;
    const RecordBatch batch = sampleRecords(10'000);
    {
        SessionWriter writer(folder / "s.esdb");
        ASSERT_EQ(writer.beginRun(sampleDescription()), RunId(1));
        appendAll(writer, batch);
        for (int i = 0; i < 3; ++i) {
            writer.append(sampleRequest(i));
            writer.append(sampleLane(i));
            writer.append(sampleDiagnostic(i));
        }
        writer.endRun(sampleSummary(), RunState::Complete);
        writer.close();
    }
    const SessionReader reader(folder / "s.esdb");
    ASSERT_EQ(reader.runs().size(), 1u);
    const RunEntry run = reader.run(RunId(1));
    EXPECT_EQ(run.state, RunState::Complete);
    EXPECT_EQ(text(run.description), text(sampleDescription()));
    ASSERT_TRUE(run.summary.has_value());
    EXPECT_EQ(text(*run.summary), text(sampleSummary()));
    expectSame(readAll(reader, RunId(1)), batch);
    expectSame(readAll(reader, RunId(1), 1), batch);
    EXPECT_EQ(texts(reader.requests(RunId(1))),
              texts(std::vector{sampleRequest(0), sampleRequest(1), sampleRequest(2)}));
    EXPECT_EQ(texts(reader.lanes(RunId(1))), texts(std::vector{sampleLane(0), sampleLane(1), sampleLane(2)}));
    EXPECT_EQ(texts(reader.diagnostics(RunId(1))),
              texts(std::vector{sampleDiagnostic(0), sampleDiagnostic(1), sampleDiagnostic(2)}));
}

TEST(Session, IsOneFileAfterACleanClose) {
    const TemporaryFolder folder;
    {
        SessionWriter writer(folder / "s.esdb");
        writer.beginRun(sampleDescription());
        appendAll(writer, sampleRecords(100));
        writer.endRun(sampleSummary(), RunState::Complete);
        writer.close();
    }
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
        names.push_back(entry.path().filename());
    }
    EXPECT_THAT(names, testing::ElementsAre("s.esdb"));
    {
        const SessionReader reader(folder / "s.esdb");
        EXPECT_EQ(reader.sizeOnDisk().count(),
                  static_cast<std::int64_t>(std::filesystem::file_size(folder / "s.esdb")));
    }
    EXPECT_FALSE(std::filesystem::exists(folder / "s.esdb-wal")) << "a reader left its traces";
}

TEST(Session, KeepsEarlierRunsWhenMoreAreAppended) {
    const TemporaryFolder folder;
    for (int n = 1; n <= 3; ++n) {
        SessionWriter writer(folder / "s.esdb");
        EXPECT_EQ(writer.beginRun(sampleDescription(n)), RunId(2 * n - 1));
        appendAll(writer, sampleRecords(500, static_cast<std::uint32_t>(n)));
        writer.endRun(sampleSummary(n), RunState::Complete);
        EXPECT_EQ(writer.beginRun(sampleDescription(n)), RunId(2 * n));
        writer.append(sampleLane(n));
        writer.endRun(sampleSummary(n), RunState::Interrupted);
        writer.close();
    }
    const SessionReader reader(folder / "s.esdb");
    ASSERT_EQ(reader.runs().size(), 6u);
    for (int n = 1; n <= 3; ++n) {
        EXPECT_EQ(text(reader.run(RunId(2 * n - 1)).description), text(sampleDescription(n)));
        expectSame(readAll(reader, RunId(2 * n - 1)), sampleRecords(500, static_cast<std::uint32_t>(n)));
        EXPECT_EQ(reader.run(RunId(2 * n)).state, RunState::Interrupted);
        EXPECT_TRUE(readAll(reader, RunId(2 * n)).empty());
        EXPECT_EQ(reader.lanes(RunId(2 * n)).size(), 1u);
    }
    EXPECT_THROW(reader.run(RunId(7)), UsageError);
}

TEST(Session, UpdatesARequestThatIsToldAgain) {
    const TemporaryFolder folder;
    SessionWriter writer(folder / "s.esdb");
    writer.beginRun(sampleDescription());
    RequestRecord request = sampleRequest(0);
    request.end = request.firstTokenTime = Nanoseconds(0);
    request.stopped = "";
    writer.append(request);
    writer.commit();
    const SessionReader reader(folder / "s.esdb");
    EXPECT_EQ(texts(reader.requests(RunId(1))), texts(std::vector{request}));
    writer.append(sampleRequest(0));
    writer.commit();
    EXPECT_EQ(texts(reader.requests(RunId(1))), texts(std::vector{sampleRequest(0)}));
}

TEST(Session, ShowsNothingBeforeACommitAndAllAfterIt) {
    const TemporaryFolder folder;
    SessionWriter writer(folder / "s.esdb");
    const RunId run = writer.beginRun(sampleDescription());
    const SessionReader reader(folder / "s.esdb");
    EXPECT_EQ(reader.run(run).state, RunState::Running);
    EXPECT_FALSE(reader.run(run).summary.has_value());
    ReadCursor cursor;
    const std::int64_t before = reader.dataVersion();
    const RecordBatch first = sampleRecords(5000, 1), second = sampleRecords(7, 2);
    appendAll(writer, first);
    EXPECT_TRUE(reader.readNew(run, cursor).empty());
    EXPECT_EQ(reader.dataVersion(), before);
    writer.commit();
    EXPECT_NE(reader.dataVersion(), before);
    expectSame(reader.readNew(run, cursor), first);
    EXPECT_TRUE(reader.readNew(run, cursor).empty());
    writer.append(second.spans);
    writer.commit();
    EXPECT_EQ(texts(reader.readNew(run, cursor).spans), texts(second.spans));
}

TEST(Session, IsFollowedWhileAnotherThreadWrites) {
    const TemporaryFolder folder;
    SessionWriter writer(folder / "s.esdb");
    const RunId run = writer.beginRun(sampleDescription());
    const SessionReader reader(folder / "s.esdb");
    constexpr int kSteps = 300, kPerStep = 40;
    std::thread recording([&] {
        for (int step = 0; step < kSteps; ++step) {
            std::vector<SelectionRecord> selections(kPerStep);
            for (SelectionRecord& selection : selections) {
                selection.token = TokenIndex(step);
            }
            TokenRecord token;
            token.token = TokenIndex(step);
            writer.append(selections);
            writer.append(std::span<const TokenRecord>(&token, 1));
            writer.commit();
        }
        writer.endRun(sampleSummary(), RunState::Complete);
    });
    ReadCursor cursor;
    std::size_t selections = 0, tokens = 0;
    while (reader.run(run).state == RunState::Running) {
        const RecordBatch batch = reader.readNew(run, cursor, 3);
        selections += batch.selections.size();
        tokens += batch.tokens.size();
        ASSERT_LE(tokens * kPerStep, selections) << "a token came before its selections";
    }
    recording.join();
    for (RecordBatch batch; !(batch = reader.readNew(run, cursor)).empty();) {
        selections += batch.selections.size();
        tokens += batch.tokens.size();
    }
    EXPECT_EQ(selections, static_cast<std::size_t>(kSteps * kPerStep));
    EXPECT_EQ(tokens, static_cast<std::size_t>(kSteps));
}

TEST(Session, ReadsARunWithoutEndAsFailedWhenItsWriterWasClosed) {
    const TemporaryFolder folder;
    {
        SessionWriter writer(folder / "s.esdb");
        writer.beginRun(sampleDescription());
    }
    EXPECT_EQ(SessionReader(folder / "s.esdb").run(RunId(1)).state, RunState::Failed);
}

}  // namespace
}  // namespace expertscope
