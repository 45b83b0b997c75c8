// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/base/session_model.h"

#include <QFile>
#include <QTemporaryDir>
#include <array>
#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "engine/base/error.h"
#include "storage/session_writer.h"
#include "tests/storage/statement_watch.h"
#include "views/base/background_job.h"

namespace expertscope {
namespace {

RunDescription describe(const char* policy) {
    RunDescription run;
    run.model.name = "tiny";
    run.model.layers = 2;
    run.model.experts = 4;
    run.model.topK = 2;
    run.policy = policy;
    run.eviction = "lru";
    run.io = "direct";
    return run;
}

SpanRecord span(std::int64_t from, std::int64_t to) {
    SpanRecord record;
    record.start = Nanoseconds(from);
    record.end = Nanoseconds(to);
    record.lane = LaneId(0);
    return record;
}

class SessionModelTest : public testing::Test {
protected:
    SessionModelTest() : file(folder.filePath("s.esdb")), writer(file.toStdString()) {
        QObject::connect(&model, &SessionModel::dataGrown, [this] { ++grown; });
        QObject::connect(&model, &SessionModel::runsChanged, [this] { ++runsChanged; });
        QObject::connect(&model, &SessionModel::currentRunChanged, [this] { ++currentChanged; });
        QObject::connect(&model, &SessionModel::sessionChanged, [this] { ++sessions; });
    }
    void write(std::int64_t from, std::int64_t to) {
        const std::array records{span(from, to)};
        writer.append(std::span<const SpanRecord>(records));
        writer.commit();
    }
    QTemporaryDir folder;
    QString file;
    SessionWriter writer;
    SessionModel model;
    int grown = 0, runsChanged = 0, currentChanged = 0, sessions = 0;
};

TEST_F(SessionModelTest, OpensTheNewestRun) {
    writer.beginRun(describe("resident"));
    writer.endRun({}, RunState::Complete);
    const RunId second = writer.beginRun(describe("on-demand"));
    write(1, 2);
    model.open(file);
    EXPECT_EQ(model.runs().size(), 2U);
    EXPECT_EQ(model.currentRun(), second);
    ASSERT_NE(model.trace(), nullptr);
    EXPECT_EQ(model.trace()->spans().size(), 1U);
    EXPECT_GT(model.sizeOnDisk().count(), 0);
    EXPECT_EQ(sessions, 1);
}

TEST_F(SessionModelTest, FollowsAFileThatGrows) {
    writer.beginRun(describe("on-demand"));
    write(1, 2);
    model.open(file);
    model.poll();
    EXPECT_EQ(grown, 0);
    write(3, 4);
    model.poll();
    EXPECT_EQ(grown, 1);
    EXPECT_EQ(model.trace()->spans().size(), 2U);
    model.poll();
    EXPECT_EQ(grown, 1);
}

TEST_F(SessionModelTest, TellsThatARunEnded) {
    writer.beginRun(describe("on-demand"));
    writer.commit();
    model.open(file);
    const int before = runsChanged;
    RunSummary summary;
    summary.generatedTokens = 64;
    writer.endRun(summary, RunState::Complete);
    model.poll();
    EXPECT_EQ(runsChanged, before + 1);
    EXPECT_EQ(model.runs().back().state, RunState::Complete);
    ASSERT_TRUE(model.trace()->entry().summary);
    EXPECT_EQ(model.trace()->entry().summary->generatedTokens, 64);
}

TEST_F(SessionModelTest, GoesOnToTheNextRunOnlyFromTheNewest) {
    const RunId first = writer.beginRun(describe("resident"));
    writer.endRun({}, RunState::Complete);
    model.open(file);
    const RunId second = writer.beginRun(describe("on-demand"));
    writer.commit();
    model.poll();
    EXPECT_EQ(model.currentRun(), second);
    writer.endRun({}, RunState::Complete);
    model.setCurrentRun(first);
    writer.beginRun(describe("pre-gated"));
    writer.commit();
    model.poll();
    EXPECT_EQ(model.runs().size(), 3U);
    EXPECT_EQ(model.currentRun(), first);
}

TEST_F(SessionModelTest, KeepsTheOpenSessionWhenAnotherCannotBeOpened) {
    writer.beginRun(describe("resident"));
    write(1, 2);
    model.open(file);
    EXPECT_THROW(model.open(folder.filePath("none.esdb")), BadInputError);
    EXPECT_EQ(model.file(), file);
    EXPECT_EQ(model.trace()->spans().size(), 1U);
}

TEST_F(SessionModelTest, LeavesATraceThatIsLentAsItIs) {
    const RunId run = writer.beginRun(describe("on-demand"));
    write(1, 2);
    model.open(file);
    auto lent = model.lend(run);
    ASSERT_EQ(lent.get(), model.trace());
    write(3, 4);
    model.poll();
    EXPECT_EQ(lent->spans().size(), 1U);
    EXPECT_EQ(grown, 0);
    lent.reset();
    model.poll();
    EXPECT_EQ(model.trace()->spans().size(), 2U);
    EXPECT_EQ(grown, 1);
    EXPECT_EQ(model.lend(RunId(99)), nullptr);
}

TEST_F(SessionModelTest, LendsATraceBeyondItsSession) {
    const RunId run = writer.beginRun(describe("on-demand"));
    write(1, 2);
    model.open(file);
    const auto lent = model.lend(run);
    model.close();
    EXPECT_EQ(lent->spans().size(), 1U);
    EXPECT_EQ(lent->entry().description.policy, "on-demand");
}

/// What openInBackground() tells.
class OpeningTest : public SessionModelTest {
protected:
    OpeningTest() {
        QObject::connect(&model, &SessionModel::opened, [this](const QString& name) { told << name; });
        QObject::connect(&model, &SessionModel::openingFailed,
                         [this](const QString& name, const QString& why) { told << name + ": " + why; });
        writer.beginRun(describe("on-demand"));
        write(1, 2);
        other = folder.filePath("other.esdb");
        SessionWriter small(other.toStdString());
        small.beginRun(describe("resident"));
        small.commit();
    }
    QString other;
    QStringList told;
};

TEST_F(OpeningTest, ShowsTheSessionOnceItIsRead) {
    model.openInBackground(file);
    EXPECT_TRUE(model.isOpening());
    EXPECT_FALSE(model.isOpen());
    EXPECT_EQ(sessions, 0);
    model.opening().wait();
    EXPECT_FALSE(model.isOpening());
    EXPECT_EQ(model.file(), file);
    EXPECT_EQ(told, QStringList{file});
    EXPECT_EQ(sessions, 1);
    EXPECT_EQ(model.trace()->spans().size(), 1U);
    write(3, 4);
    model.poll();
    EXPECT_EQ(model.trace()->spans().size(), 2U) << "it is followed";
}

TEST_F(OpeningTest, KeepsTheOpenSessionUntilTheOtherIsThereAndWhereItCannotBeOpened) {
    model.open(file);
    model.openInBackground(folder.filePath("none.esdb"));
    write(3, 4);
    model.poll();
    EXPECT_EQ(model.trace()->spans().size(), 2U);
    model.opening().wait();
    EXPECT_EQ(model.file(), file);
    EXPECT_EQ(sessions, 1);
    ASSERT_EQ(told.size(), 1);
    EXPECT_TRUE(told.front().contains("There is no session file")) << told.front().toStdString();
    EXPECT_FALSE(model.isOpening());
}

TEST_F(OpeningTest, TheOneThatIsAskedForLastIsOpened) {
    for (int i = 0; i < 5; ++i) {
        model.openInBackground(file);
        model.openInBackground(other);
    }
    model.opening().wait();
    EXPECT_EQ(model.file(), other);
    EXPECT_EQ(told, QStringList{other});
    EXPECT_EQ(sessions, 1);
    model.openInBackground(other);
    model.open(file);
    model.opening().wait();
    EXPECT_EQ(model.file(), file);
    EXPECT_EQ(told.size(), 1);
}

TEST_F(OpeningTest, EndsWhenTheSessionIsClosedAndWhenItIsCancelled) {
    model.open(file);
    model.openInBackground(other);
    model.close();
    EXPECT_FALSE(model.isOpening());
    model.opening().wait();
    EXPECT_FALSE(model.isOpen());
    model.openInBackground(file);
    model.opening().cancel();
    EXPECT_FALSE(model.isOpening());
    model.opening().wait();
    EXPECT_FALSE(model.isOpen());
    EXPECT_TRUE(told.isEmpty());
    model.openInBackground(file);
    model.opening().wait();
    EXPECT_EQ(model.file(), file);
}

TEST_F(OpeningTest, MayBeLeftHalfWay) {
    for (int i = 0; i < 20; ++i) {
        SessionModel left;
        left.openInBackground(i % 2 == 0 ? file : other);
        if (i % 4 == 1) left.opening().wait();
    }
}

TEST_F(OpeningTest, OpensAnotherFromWithinTheNewsOfTheFirst) {
    QObject::connect(&model, &SessionModel::sessionChanged, &model, [this] {
        if (model.file() == file) model.openInBackground(other);
    });
    model.openInBackground(file);
    model.opening().wait();
    EXPECT_EQ(model.file(), other);
    EXPECT_EQ(told, (QStringList{file, other}));
    EXPECT_FALSE(model.isOpening());
}

/// More spans than are read at once where little is.
class LongRunTest : public SessionModelTest {
protected:
    static constexpr int kSpans = 150'000;
    LongRunTest() {
        writer.beginRun(describe("on-demand"));
        std::vector<SpanRecord> spans;
        for (int i = 0; i < kSpans; ++i)
            spans.push_back(span(i, i + 1));
        writer.append(std::span<const SpanRecord>(spans));
        writer.commit();
        model.setReadAtOnce(1);
    }
    bool isInOrder() const {
        const auto& spans = model.trace()->spans();
        for (std::size_t i = 0; i < spans.size(); ++i)
            if (spans[i].start.count() != static_cast<std::int64_t>(i)) return false;
        return true;
    }
};

TEST_F(LongRunTest, IsReadByAndBy) {
    model.open(file);
    ASSERT_NE(model.trace(), nullptr);
    EXPECT_FALSE(model.trace()->isWhole());
    EXPECT_TRUE(model.reading());
    EXPECT_LT(model.trace()->spans().size(), std::size_t{kSpans});
    EXPECT_LT(model.readShare(), 1);
    EXPECT_EQ(model.trace()->entry().description.policy, "on-demand");
    model.poll();
    model.finishReading();
    EXPECT_FALSE(model.reading());
    EXPECT_EQ(model.readShare(), 1);
    EXPECT_TRUE(model.trace()->isWhole());
    EXPECT_EQ(model.trace()->spans().size(), std::size_t{kSpans});
    EXPECT_TRUE(isInOrder());
    EXPECT_GT(grown, 1);
}

TEST_F(LongRunTest, IsFollowedOnceItIsRead) {
    model.open(file);
    write(kSpans, kSpans + 1);
    model.poll();
    model.finishReading();
    write(kSpans + 1, kSpans + 2);
    model.poll();
    EXPECT_EQ(model.trace()->spans().size(), std::size_t{kSpans + 2});
    EXPECT_TRUE(isInOrder());
}

TEST_F(LongRunTest, IsReadOnWhenItIsReturned) {
    model.open(file);
    std::atomic<bool> changed = false;
    std::vector<std::jthread> readers;
    for (int i = 0; i < 3; ++i)
        readers.emplace_back([lent = model.lend(*model.currentRun()), &changed]() mutable {
            const std::size_t before = lent->spans().size();
            for (int round = 0; round < 20; ++round) {
                std::this_thread::sleep_for(std::chrono::milliseconds(1));
                if (lent->spans().size() != before || lent->isWhole()) changed = true;
            }
            lent.reset();
        });
    model.finishReading();
    EXPECT_FALSE(changed);
    EXPECT_TRUE(model.trace()->isWhole());
    EXPECT_EQ(model.trace()->spans().size(), std::size_t{kSpans});
    EXPECT_TRUE(isInOrder());
}

TEST_F(LongRunTest, MayBeLeftWhileItIsRead) {
    const auto other = folder.filePath("other.esdb");
    {
        SessionWriter small(other.toStdString());
        small.beginRun(describe("resident"));
        small.commit();
    }
    model.open(file);
    model.open(other);
    EXPECT_FALSE(model.reading());
    model.finishReading();
    EXPECT_EQ(model.trace()->entry().description.policy, "resident");
    EXPECT_TRUE(model.trace()->spans().empty());
    model.open(file);
    model.close();
    model.open(file);
    model.finishReading();
    EXPECT_TRUE(isInOrder());
    EXPECT_EQ(model.trace()->spans().size(), std::size_t{kSpans});
}

TEST_F(LongRunTest, EveryRunThatIsAskedForIsRead) {
    writer.endRun({}, RunState::Complete);
    writer.beginRun(describe("resident"));
    std::vector<SpanRecord> spans(100'000);
    writer.append(std::span<const SpanRecord>(spans));
    writer.commit();
    model.open(file);
    const RunTrace* const first = model.trace(model.runs().front().id);
    EXPECT_FALSE(first->isWhole());
    model.finishReading();
    EXPECT_EQ(first->spans().size(), std::size_t{kSpans});
    EXPECT_EQ(model.trace()->spans().size(), 100'000U);
}

TEST_F(LongRunTest, LeavesNoRecordsOfAFileToTheThreadThatOpensItInTheBackground) {
    model.setReadAtOnce(50'000);
    const StatementWatch watch;
    model.openInBackground(file);
    model.opening().wait();
    EXPECT_FALSE(model.trace()->isWhole());
    EXPECT_GE(model.trace()->spans().size(), 50'000U);
    model.finishReading();
    model.poll();
    EXPECT_TRUE(isInOrder());
    EXPECT_EQ(model.trace()->spans().size(), std::size_t{kSpans});
    EXPECT_EQ(watch.rows(std::this_thread::get_id(), "data FROM chunk"), 0);
    EXPECT_GT(watch.rows("data FROM chunk"), 0);
    model.open(file);
    EXPECT_GT(watch.rows(std::this_thread::get_id(), "data FROM chunk"), 0) << "as it is seen where it is";
}

TEST_F(LongRunTest, ReadsByAndByWhatManyRecordsCameWhileItWasShown) {
    model.open(file);
    model.finishReading();
    model.poll();
    std::vector<SpanRecord> more;
    for (int i = kSpans; i < 2 * kSpans; ++i)
        more.push_back(span(i, i + 1));
    writer.append(std::span<const SpanRecord>(more));
    writer.commit();
    model.poll();
    EXPECT_TRUE(model.reading());
    EXPECT_LT(model.trace()->spans().size(), std::size_t{2 * kSpans});
    EXPECT_LT(model.readShare(), 1);
    model.poll();
    model.finishReading();
    EXPECT_TRUE(model.trace()->isWhole());
    EXPECT_EQ(model.trace()->spans().size(), std::size_t{2 * kSpans});
    EXPECT_TRUE(isInOrder());
}

TEST_F(LongRunTest, AnotherMayBeOpenedInTheBackgroundWhileItIsRead) {
    const auto small = folder.filePath("other.esdb");
    {
        SessionWriter other(small.toStdString());
        other.beginRun(describe("resident"));
        other.commit();
    }
    for (int i = 0; i < 10; ++i) {
        model.openInBackground(i % 2 == 0 ? file : small);
        model.opening().wait();
        EXPECT_EQ(model.reading(), i % 2 == 0);
    }
    EXPECT_EQ(model.trace()->entry().description.policy, "resident");
    model.openInBackground(file);
    model.opening().wait();
    model.openInBackground(small);
    model.finishReading();  // of the first, while the second is opened
    model.opening().wait();
    EXPECT_FALSE(model.reading());
    EXPECT_EQ(model.file(), small);
    EXPECT_TRUE(model.trace()->spans().empty());
}

TEST_F(SessionModelTest, ClosesCleanly) {
    writer.beginRun(describe("resident"));
    writer.commit();
    model.open(file);
    model.close();
    EXPECT_FALSE(model.isOpen());
    EXPECT_EQ(model.trace(), nullptr);
    EXPECT_FALSE(model.currentRun());
    model.poll();
}

}  // namespace
}  // namespace expertscope
