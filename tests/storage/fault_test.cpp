// SPDX-License-Identifier: GPL-3.0-or-later
// Disks that are full, broken or slow, and readers that are there meanwhile: one sentence, and nothing lost that was
// committed.
#include <atomic>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/base/error.h"
#include "storage/session_reader.h"
#include "storage/session_writer.h"
#include "storage/sql.h"
#include "tests/storage/faulty_disk.h"
#include "tests/storage/integrity.h"
#include "tests/storage/sample_records.h"

namespace expertscope {
namespace {

using namespace std::chrono_literals;
using testing::AnyOf;
using testing::HasSubstr;

constexpr int kSpansACommit = 500;

/// Spans numbered on from `first` in `amount`.
std::vector<SpanRecord> numbered(std::int64_t first) {
    std::vector<SpanRecord> spans(kSpansACommit);
    for (SpanRecord& span : spans) {
        span.start = span.end = sessionNow();
        span.amount = first++;
    }
    return spans;
}

struct Written {
    std::int64_t committed = 0;
    std::string sentence;  ///< of the failure; empty where there was none
};

/// Records a run of so many commits, or until it fails.
Written record(const std::filesystem::path& file, int commits) {
    Written written;
    try {
        SessionWriter writer(file);
        writer.beginRun(sampleDescription());
        for (int i = 0; i < commits; ++i) {
            writer.append(numbered(written.committed));
            writer.commit();
            written.committed += kSpansACommit;
        }
        writer.endRun(sampleSummary(), RunState::Complete);
        writer.close();
    } catch (const Error& error) { written.sentence = error.what(); }
    return written;
}

/// The same in a process of its own, as a run is one, on a disk with that much room.
Written recordInChild(const std::filesystem::path& file, int commits, std::int64_t room) {
    int ends[2];
    if (pipe(ends) != 0) throw std::runtime_error("no pipe");
    const pid_t child = fork();
    if (child == 0) {
        FaultyDisk disk;
        disk.setRoom(room);
        const Written written = record(file, commits);
        const std::string told = std::to_string(written.committed) + " " + written.sentence;
        const bool wrote = write(ends[1], told.data(), told.size()) == static_cast<ssize_t>(told.size());
        _exit(wrote ? 0 : 1);
    }
    close(ends[1]);
    std::string told;
    char part[512];
    for (ssize_t size = 0; (size = read(ends[0], part, sizeof part)) > 0;)
        told.append(part, static_cast<std::size_t>(size));
    close(ends[0]);
    waitpid(child, nullptr, 0);
    const std::size_t space = told.find(' ');
    if (space == std::string::npos) throw std::runtime_error("the recording process told nothing");
    return {std::stoll(told), told.substr(space + 1)};
}

/// How many spans of the run can be read, each in its place.
std::int64_t readable(const std::filesystem::path& file, RunId run) {
    const SessionReader reader(file);
    std::int64_t count = 0;
    ReadCursor cursor;
    for (RecordBatch batch; !(batch = reader.readNew(run, cursor)).empty();)
        for (const SpanRecord& span : batch.spans) {
            EXPECT_EQ(span.amount, count) << "a span is missing in the middle";
            ++count;
        }
    return count;
}

class DiskWithRoomFor : public testing::TestWithParam<int> {};

TEST_P(DiskWithRoomFor, KeepsWhatWasCommittedAndSaysThatItIsFull) {
    const TemporaryFolder folder;
    const std::filesystem::path file = folder / "s.esdb";
    const Written written = recordInChild(file, 60, GetParam() * std::int64_t{1024});
    EXPECT_THAT(written.sentence, HasSubstr("disk is full")) << written.committed;
    if (written.committed > 0) {
        EXPECT_THAT(SessionReader(file).run(RunId(1)).state,
                    AnyOf(RunState::Failed, RunState::Crashed, RunState::Complete));
        EXPECT_EQ(readable(file, RunId(1)), written.committed);
    }
    EXPECT_EQ(integrity(file), "ok");
    // With room again the next run goes into the same file.
    EXPECT_EQ(record(file, 2).sentence, "");
    const SessionReader reader(file);
    EXPECT_EQ(readable(file, reader.runs().back().id), 2 * kSpansACommit);
}

// From no room for the tables to no room for moving the log into the file.
INSTANTIATE_TEST_SUITE_P(KiB, DiskWithRoomFor, testing::Values(0, 4, 16, 60, 150, 200, 230, 260, 300, 350, 400, 600));

TEST(BrokenDisk, IsASentenceAndKeepsWhatWasCommitted) {
    const TemporaryFolder folder;
    const std::filesystem::path file = folder / "s.esdb";
    FaultyDisk disk;
    {
        SessionWriter writer(file);
        writer.beginRun(sampleDescription());
        writer.append(numbered(0));
        writer.commit();
        disk.breakWrites(true);
        writer.append(numbered(kSpansACommit));
        EXPECT_THROW(
            {
                try {
                    writer.commit();
                } catch (const FailedError& error) {
                    EXPECT_THAT(error.what(), HasSubstr("s.esdb"));
                    throw;
                }
            },
            FailedError);
        EXPECT_THROW(writer.append(numbered(0)), FailedError) << "what follows a failure would have a hole before it";
        disk.breakWrites(false);
    }
    EXPECT_EQ(readable(file, RunId(1)), kSpansACommit);
    EXPECT_EQ(integrity(file), "ok");
}

TEST(BrokenDisk, IsASentenceForReaders) {
    const TemporaryFolder folder;
    const std::filesystem::path file = folder / "s.esdb";
    ASSERT_EQ(record(file, 30).sentence, "");
    FaultyDisk disk;
    const SessionReader reader(file);
    disk.breakReads(true);
    try {
        ReadCursor cursor;
        reader.readNew(RunId(1), cursor);
        ADD_FAILURE() << "nothing was said";
    } catch (const BadInputError& error) { EXPECT_THAT(error.what(), HasSubstr("check its permissions and its disk")); }
    disk.breakReads(false);
    EXPECT_EQ(readable(file, RunId(1)), 30 * kSpansACommit);
}

TEST(SlowDisk, LosesNothingAndIsNeverWaitedForWhileRecording) {
    const TemporaryFolder folder;
    const std::filesystem::path file = folder / "s.esdb";
    FaultyDisk disk;
    {
        SessionWriter writer(file);
        writer.beginRun(sampleDescription());
        disk.setDelays(1ms, 200ms);
        const std::int64_t syncs = disk.syncsOfThisThread();
        for (int i = 0; i < 20; ++i) {
            writer.append(numbered(i * kSpansACommit));
            writer.commit();
        }
        EXPECT_EQ(disk.syncsOfThisThread(), syncs) << "the thread that records waited for the disk";
        EXPECT_EQ(readable(file, RunId(1)), 20 * kSpansACommit) << "readers see what is committed";
        disk.setDelays(0ms, 20ms);
        writer.endRun(sampleSummary(), RunState::Complete);
        writer.close();
    }
    EXPECT_EQ(readable(file, RunId(1)), 20 * kSpansACommit);
    EXPECT_EQ(integrity(file), "ok");
}

TEST(ReaderDuringWriting, SeesWholeCommitsInOrderAndDisturbsNobody) {
    const TemporaryFolder folder;
    const std::filesystem::path file = folder / "s.esdb";
    constexpr int kCommits = 200;
    SessionWriter writer(file);
    writer.beginRun(sampleDescription());
    std::atomic<bool> failed{false};
    std::jthread recording([&] {
        try {
            for (int i = 0; i < kCommits; ++i) {
                writer.append(numbered(std::int64_t{i} * kSpansACommit));
                writer.commit();
            }
        } catch (const Error&) { failed = true; }
    });
    std::int64_t seen = 0;
    {
        const SessionReader reader(file);
        ReadCursor cursor;
        while (seen < kCommits * kSpansACommit && !failed) {
            const RecordBatch batch = reader.readNew(RunId(1), cursor, 3);
            for (const SpanRecord& span : batch.spans)
                ASSERT_EQ(span.amount, seen++);
            const SqlResult sql = runSql(file, "SELECT count(*), max(amount) FROM span");
            EXPECT_EQ(std::get<std::int64_t>(sql.rows[0][0]) % kSpansACommit, 0) << "half a commit is visible";
            EXPECT_GE(std::get<std::int64_t>(sql.rows[0][0]), seen);
        }
    }
    recording.join();
    EXPECT_FALSE(failed);
    writer.endRun(sampleSummary(), RunState::Complete);
    writer.close();
    EXPECT_FALSE(std::filesystem::exists(file.string() + "-wal"));
    EXPECT_EQ(readable(file, RunId(1)), kCommits * kSpansACommit);
}

TEST(ReaderDuringWriting, ThatStaysInOneQueryKeepsItsViewAndTheWriterGoesOn) {
    const TemporaryFolder folder;
    const std::filesystem::path file = folder / "s.esdb";
    SessionWriter writer(file);
    writer.beginRun(sampleDescription());
    for (int i = 0; i < 20; ++i)
        writer.append(numbered(std::int64_t{i} * kSpansACommit));
    writer.commit();
    {
        SqlQuery query(file, "SELECT amount FROM span");
        ASSERT_TRUE(query.next());
        for (int i = 20; i < 400; ++i) {
            writer.append(numbered(std::int64_t{i} * kSpansACommit));
            writer.commit();
        }
        std::int64_t rows = 1;
        while (query.next())
            ++rows;
        EXPECT_EQ(rows, 20 * kSpansACommit) << "the query saw what was committed after it began";
    }
    writer.endRun(sampleSummary(), RunState::Complete);
    writer.close();
    EXPECT_EQ(readable(file, RunId(1)), 400 * kSpansACommit);
}

}  // namespace
}  // namespace expertscope
