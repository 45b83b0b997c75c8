// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/capture/recorder.h"

#include <chrono>
#include <optional>
#include <thread>
#include <unordered_map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/base/error.h"
#include "storage/session_reader.h"
#include "storage/session_writer.h"
#include "storage/sqlite_db.h"
#include "tests/storage/sample_records.h"

namespace expertscope {
namespace {

using namespace std::chrono_literals;

SpanRecord spanOf(int lane, std::int64_t number) {
    SpanRecord span;
    span.start = span.end = Nanoseconds(1'000'000 + number);
    span.lane = LaneId(lane);
    span.amount = number;
    return span;
}

RecordBatch readAll(const SessionReader& reader, RunId run) {
    ReadCursor cursor;
    RecordBatch all;
    for (RecordBatch part; !(part = reader.readNew(run, cursor)).empty();) {
        addTo(all, part);
    }
    return all;
}

class RecorderTest : public testing::Test {
protected:
    TemporaryFolder folder;
    std::filesystem::path file = folder / "s.esdb";
};

TEST_F(RecorderTest, StoresEveryKindOfRecordAsItWasTold) {
    const RecordBatch told = sampleRecords(6000);
    RunSummary summary = sampleSummary();
    {
        SessionWriter writer(file);
        Recorder recorder(writer, sampleDescription());
        recorder.onLane(sampleLane(0));
        recorder.onRequest(sampleRequest(0));
        recorder.onSelections(told.selections);
        recorder.onPredictions(told.predictions);
        for (const SpanRecord& record : told.spans) {
            recorder.onSpan(record);
        }
        for (const ResidencyRecord& record : told.residency) {
            recorder.onResidency(record);
        }
        for (const TransferRecord& record : told.transfers) {
            recorder.onTransfer(record);
        }
        for (const TokenRecord& record : told.tokens) {
            recorder.onToken(record);
        }
        recorder.onDiagnostic(sampleDiagnostic(1));
        recorder.finish(summary, RunState::Complete);
        EXPECT_FALSE(recorder.failed());
        writer.close();
    }
    EXPECT_EQ(summary.spans, 6000);
    EXPECT_EQ(summary.selections, 6000);
    EXPECT_EQ(summary.dropped, 0);
    const SessionReader reader(file);
    const RecordBatch stored = readAll(reader, RunId(1));
    EXPECT_EQ(texts(stored.spans), texts(told.spans));
    EXPECT_EQ(texts(stored.selections), texts(told.selections));
    EXPECT_EQ(texts(stored.predictions), texts(told.predictions));
    EXPECT_EQ(texts(stored.residency), texts(told.residency));
    EXPECT_EQ(texts(stored.transfers), texts(told.transfers));
    EXPECT_EQ(texts(stored.tokens), texts(told.tokens));
    EXPECT_EQ(texts(reader.lanes(RunId(1))), texts(std::vector{sampleLane(0)}));
    EXPECT_EQ(texts(reader.requests(RunId(1))), texts(std::vector{sampleRequest(0)}));
    EXPECT_EQ(texts(reader.diagnostics(RunId(1))), texts(std::vector{sampleDiagnostic(1)}));
    EXPECT_EQ(reader.run(RunId(1)).state, RunState::Complete);
    EXPECT_EQ(text(*reader.run(RunId(1)).summary), text(summary));
}

TEST_F(RecorderTest, CountsExactlyWhatManyThreadsSendFasterThanItCanStore) {
    constexpr int kThreads = 6;
    constexpr std::int64_t kPerThread = 200'000;  // three times a thread's ring
    RunSummary summary;
    {
        SessionWriter writer(file);
        Recorder recorder(writer, sampleDescription());
        std::vector<std::thread> threads;
        for (int lane = 0; lane < kThreads; ++lane) {
            threads.emplace_back([&recorder, lane] {
                for (std::int64_t number = 0; number < kPerThread; ++number) {
                    recorder.onSpan(spanOf(lane, number));
                }
            });
        }
        for (std::thread& thread : threads) {
            thread.join();
        }
        recorder.finish(summary, RunState::Complete);
    }
    const SessionReader reader(file);
    const RecordBatch stored = readAll(reader, RunId(1));
    EXPECT_EQ(static_cast<std::int64_t>(stored.spans.size()), summary.spans);
    EXPECT_EQ(summary.spans + summary.dropped, kThreads * kPerThread);
    std::int64_t told = 0;
    for (const DiagnosticRecord& diagnostic : reader.diagnostics(RunId(1))) {
        EXPECT_EQ(diagnostic.name, "spans_dropped");
        EXPECT_EQ(diagnostic.severity, Severity::DataLoss);
        EXPECT_GT(diagnostic.time.count(), 0);
        EXPECT_GE(diagnostic.end, diagnostic.time);
        told += diagnostic.count;
    }
    EXPECT_EQ(told, summary.dropped);
    std::unordered_map<int, std::int64_t> last;
    for (const SpanRecord& span : stored.spans) {
        const auto [at, isNew] = last.try_emplace(span.lane.value(), -1);
        ASSERT_LT(at->second, span.amount) << "a thread's spans changed their order, or one came twice";
        at->second = span.amount;
    }
    EXPECT_EQ(last.size(), static_cast<std::size_t>(kThreads));
}

TEST_F(RecorderTest, DropsTheNewestOfABurstThatDoesNotFit) {
    const std::vector<SelectionRecord> burst(400'000);
    RunSummary summary;
    SessionWriter writer(file);
    Recorder recorder(writer, sampleDescription());
    recorder.onSelections(burst);
    recorder.finish(summary, RunState::Complete);
    EXPECT_EQ(summary.selections, 131'072);
    EXPECT_EQ(summary.dropped, 400'000 - 131'072);
    const SessionReader reader(file);
    ASSERT_EQ(reader.diagnostics(RunId(1)).size(), 1u);
    EXPECT_EQ(reader.diagnostics(RunId(1))[0].name, "selections_dropped");
    EXPECT_EQ(reader.diagnostics(RunId(1))[0].count, summary.dropped);
}

TEST_F(RecorderTest, MakesRecordsVisibleWhileItRecordsAndNeverATokenBeforeItsSelections) {
    SessionWriter writer(file);
    Recorder recorder(writer, sampleDescription());
    const SessionReader reader(file);
    std::atomic<bool> stop = false;
    std::thread engine([&] {
        for (int step = 0; !stop; ++step) {
            std::vector<SelectionRecord> selections(32);
            recorder.onSelections(selections);
            TokenRecord token;
            token.token = TokenIndex(step);
            recorder.onToken(token);
            std::this_thread::sleep_for(200us);
        }
    });
    ReadCursor cursor;
    std::size_t tokens = 0, selections = 0;
    int batches = 0;
    const auto deadline = std::chrono::steady_clock::now() + 60s;
    while (batches < 8 && std::chrono::steady_clock::now() < deadline) {
        const RecordBatch batch = reader.readNew(recorder.run(), cursor);
        if (batch.empty()) {
            std::this_thread::sleep_for(5ms);
            continue;
        }
        ++batches;
        tokens += batch.tokens.size();
        selections += batch.selections.size();
        EXPECT_LE(tokens * 32, selections);
    }
    EXPECT_EQ(batches, 8) << "nothing was committed while recording";
    stop = true;
    engine.join();
    RunSummary summary;
    recorder.finish(summary, RunState::Interrupted);
}

TEST_F(RecorderTest, HasWrittenWhatARequestToldOnceItHasSettled) {
    SessionWriter writer(file);
    Recorder recorder(writer, sampleDescription());
    const SessionReader reader(file);
    for (int request = 1; request <= 5; ++request) {
        recorder.onSpan(spanOf(0, request));
        std::this_thread::sleep_for(60ms);  // longer than the shortest time between two commits
        recorder.onRequest(sampleRequest(request));
        recorder.onCaughtUp();
        recorder.settle();
        EXPECT_EQ(readAll(reader, recorder.run()).spans.size(), static_cast<std::size_t>(request));
    }
    RunSummary summary;
    recorder.finish(summary, RunState::Complete);
}

TEST_F(RecorderTest, DoesNotWriteAChunkForEveryShortRequest) {
    SessionWriter writer(file);
    Recorder recorder(writer, sampleDescription());
    const auto began = std::chrono::steady_clock::now();
    for (int request = 0; request < 300; ++request) {
        recorder.onSpan(spanOf(0, request));
        recorder.onCaughtUp();
        recorder.settle();
        std::this_thread::sleep_for(1ms);
    }
    const auto took = std::chrono::steady_clock::now() - began;
    RunSummary summary;
    recorder.finish(summary, RunState::Complete);
    Database database(file, OpenMode::Existing);
    EXPECT_LE(database.queryInteger("SELECT count(*) FROM chunk WHERE kind='span'"), took / 50ms + 2);
    EXPECT_EQ(readAll(SessionReader(file), RunId(1)).spans.size(), 300u);
}

TEST_F(RecorderTest, LeavesAThreadFreeToTellSeveralRecorders) {
    SessionWriter first(folder / "a.esdb"), second(folder / "b.esdb");
    RunSummary summary;
    for (int round = 1; round <= 3; ++round) {
        Recorder a(first, sampleDescription()), b(second, sampleDescription());
        for (int i = 0; i < 1000; ++i) {
            a.onSpan(spanOf(1, i));
            b.onSpan(spanOf(2, i));
            b.onSpan(spanOf(2, i));
        }
        a.finish(summary, RunState::Complete);
        EXPECT_EQ(summary.spans, 1000);
        b.finish(summary, RunState::Complete);
        EXPECT_EQ(summary.spans, 2000);
    }
    for (const SpanRecord& span : readAll(SessionReader(folder / "a.esdb"), RunId(3)).spans) {
        ASSERT_EQ(span.lane, LaneId(1));
    }
}

TEST_F(RecorderTest, EndsTheRunAsFailedWhenItIsLeftWithoutFinish) {
    SessionWriter writer(file);
    {
        Recorder recorder(writer, sampleDescription());
        recorder.onSpan(spanOf(0, 1));
    }
    EXPECT_EQ(SessionReader(file).run(RunId(1)).state, RunState::Failed);
    EXPECT_EQ(readAll(SessionReader(file), RunId(1)).spans.size(), 1u);
    EXPECT_EQ(writer.beginRun(sampleDescription()), RunId(2));
}

/// Records spans until the file may not grow any more; the exit status says how the recorder told it.
int recordUntilFull(const std::filesystem::path& file) {
    signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{1 << 20, 1 << 20};
    setrlimit(RLIMIT_FSIZE, &limit);
    SessionWriter writer(file);
    Recorder recorder(writer, sampleDescription());
    const auto deadline = std::chrono::steady_clock::now() + 60s;
    for (std::int64_t i = 0; !recorder.failed(); ++i) {
        recorder.onSpan(spanOf(0, i));
        if (i % 200 == 0) std::this_thread::sleep_for(1ms);
        if (i % 20'000 == 0) {  // neither blocks once the disk is full
            recorder.onCaughtUp();
            recorder.settle();
        }
        if (std::chrono::steady_clock::now() > deadline) return 1;
    }
    try {
        RunSummary summary;
        recorder.finish(summary, RunState::Complete);
        return 2;
    } catch (const FailedError& error) {
        return std::string(error.what()).find("disk is full") != std::string::npos ? 0 : 3;
    }
}

TEST_F(RecorderTest, TellsThatTheDiskIsFullAndKeepsWhatWasCommitted) {
    const pid_t child = fork();
    if (child == 0) _exit(recordUntilFull(file));
    int status = 0;
    waitpid(child, &status, 0);
    ASSERT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 0);
    const std::vector<SpanRecord> spans = readAll(SessionReader(file), RunId(1)).spans;
    EXPECT_GT(spans.size(), 1000u);
    for (std::size_t i = 0; i < spans.size(); ++i) {
        ASSERT_EQ(spans[i].amount, static_cast<std::int64_t>(i));
    }
}

/// Records a span with its time every 100 µs until killed.
[[noreturn]] void recordUntilKilled(const std::filesystem::path& file) {
    SessionWriter writer(file);
    Recorder recorder(writer, sampleDescription());
    for (std::int64_t i = 0;; ++i) {
        SpanRecord span = spanOf(0, i);
        span.start = span.end = sessionNow();
        recorder.onSpan(span);
        std::this_thread::sleep_for(100us);
    }
}

TEST_F(RecorderTest, LosesAtMostTheLastFifthOfASecondWhenKilled) {
    const pid_t child = fork();
    if (child == 0) recordUntilKilled(file);
    std::this_thread::sleep_for(900ms);
    const Nanoseconds killed = sessionNow();
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    const SessionReader reader(file);
    EXPECT_EQ(reader.run(RunId(1)).state, RunState::Crashed);
    const std::vector<SpanRecord> spans = readAll(reader, RunId(1)).spans;
    ASSERT_FALSE(spans.empty());
    for (std::size_t i = 0; i < spans.size(); ++i) {
        ASSERT_EQ(spans[i].amount, static_cast<std::int64_t>(i)) << "a span is missing in the middle";
    }
    EXPECT_LE((killed - spans.back().end).count(), 200'000'000);
}

}  // namespace
}  // namespace expertscope
