// SPDX-License-Identifier: GPL-3.0-or-later
// What is left when the recording process is killed at any moment.
#include <chrono>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/base/error.h"
#include "storage/session_reader.h"
#include "storage/session_writer.h"
#include "tests/storage/integrity.h"
#include "tests/storage/sample_records.h"

namespace expertscope {
namespace {

using namespace std::chrono_literals;

/// A process that writes a session until it is killed: spans numbered in `amount`, a thousand and a token a commit, a
/// commit every few milliseconds. After each it tells the parent through a pipe how many spans are committed.
class EndlessWriter {
public:
    explicit EndlessWriter(const std::filesystem::path& file) {
        int ends[2];
        if (pipe(ends) != 0) throw std::runtime_error("no pipe");
        m_pid = fork();
        if (m_pid == 0) {
            close(ends[0]);
            write(file, ends[1]);
        }
        close(ends[1]);
        m_told = ends[0];
    }
    ~EndlessWriter() {
        if (m_pid > 0) killNow();
        close(m_told);
    }
    EndlessWriter(const EndlessWriter&) = delete;
    EndlessWriter& operator=(const EndlessWriter&) = delete;

    /// Waits for the next commit and returns how many spans are committed with it.
    std::int64_t waitForCommit() { return next().value_or(-1); }
    /// Kills with SIGKILL and returns how many spans were committed at least.
    std::int64_t killNow() {
        kill(m_pid, SIGKILL);
        waitpid(m_pid, nullptr, 0);
        m_pid = 0;
        std::int64_t committed = 0;
        while (const std::optional<std::int64_t> told = next()) {
            committed = *told;
        }
        return committed;
    }
    pid_t pid() const { return m_pid; }

private:
    std::optional<std::int64_t> next() {
        std::int64_t told = 0;
        if (read(m_told, &told, sizeof told) != sizeof told) return std::nullopt;
        return told;
    }

    [[noreturn]] static void write(const std::filesystem::path& file, int tell) {
        try {
            SessionWriter writer(file);
            writer.beginRun(sampleDescription());
            std::int64_t count = 0;
            for (;;) {
                for (int i = 0; i < 1000; ++i) {
                    SpanRecord span;
                    span.start = span.end = sessionNow();
                    span.amount = count++;
                    writer.append(std::span<const SpanRecord>(&span, 1));
                }
                TokenRecord token;
                token.token = TokenIndex(static_cast<std::int32_t>(count / 1000 - 1));
                writer.append(std::span<const TokenRecord>(&token, 1));
                writer.commit();
                if (::write(tell, &count, sizeof count) != sizeof count) _exit(1);
                std::this_thread::sleep_for(2ms);
            }
        } catch (...) { _exit(2); }
    }

    pid_t m_pid = 0;
    int m_told = -1;
};

class KilledAfter : public testing::TestWithParam<int> {};

TEST_P(KilledAfter, KeepsEveryCommitInASoundFileThatSaysItCrashed) {
    const TemporaryFolder folder;
    const std::filesystem::path file = folder / "s.esdb";
    EndlessWriter writer(file);
    ASSERT_EQ(writer.waitForCommit(), 1000);
    std::this_thread::sleep_for(std::chrono::milliseconds(GetParam()));
    const std::int64_t committed = std::max<std::int64_t>(writer.killNow(), 1000);
    {
        const SessionReader reader(file);
        EXPECT_EQ(reader.run(RunId(1)).state, RunState::Crashed);
        EXPECT_FALSE(reader.run(RunId(1)).summary.has_value());
        ReadCursor cursor;
        std::int64_t spans = 0, tokens = 0;
        for (RecordBatch batch; !(batch = reader.readNew(RunId(1), cursor)).empty();) {
            for (const SpanRecord& span : batch.spans) {
                ASSERT_EQ(span.amount, spans++) << "a span is missing in the middle";
            }
            tokens += static_cast<std::int64_t>(batch.tokens.size());
        }
        EXPECT_GE(spans, committed);
        EXPECT_LE(spans, committed + 1000) << "a commit that was not told yet";
        EXPECT_EQ(tokens * 1000, spans) << "half a commit is visible";
    }
    EXPECT_EQ(integrity(file), "ok");
    // The next recording closes what the dead one left, and goes on.
    {
        SessionWriter next(file);
        EXPECT_EQ(next.beginRun(sampleDescription(2)), RunId(2));
        next.endRun(sampleSummary(), RunState::Complete);
        next.close();
    }
    const SessionReader reader(file);
    EXPECT_EQ(reader.run(RunId(1)).state, RunState::Crashed);
    EXPECT_EQ(reader.run(RunId(2)).state, RunState::Complete);
}

INSTANTIATE_TEST_SUITE_P(Milliseconds, KilledAfter, testing::Values(0, 1, 2, 3, 7, 13, 20, 34, 55, 89, 130, 400));

TEST(SecondWriter, IsRefusedWithTheFirstOnesProcess) {
    const TemporaryFolder folder;
    EndlessWriter first(folder / "s.esdb");
    ASSERT_EQ(first.waitForCommit(), 1000);
    try {
        SessionWriter second(folder / "s.esdb");
        ADD_FAILURE() << "two writers at once";
    } catch (const FailedError& error) {
        EXPECT_THAT(error.what(), testing::HasSubstr("is being written by another ExpertScope run (pid " +
                                                     std::to_string(first.pid()) + ")"));
    }
    EXPECT_EQ(SessionReader(folder / "s.esdb").run(RunId(1)).state, RunState::Running);
    EXPECT_EQ(first.waitForCommit(), 2000) << "the first writer was disturbed";
}

TEST(SecondWriter, MayFollowAfterTheFirstHasClosed) {
    const TemporaryFolder folder;
    SessionWriter first(folder / "s.esdb");
    EXPECT_THROW(SessionWriter(folder / "s.esdb"), FailedError);
    first.close();
    EXPECT_NO_THROW(SessionWriter(folder / "s.esdb"));
}

}  // namespace
}  // namespace expertscope
