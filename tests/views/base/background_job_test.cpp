// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/base/background_job.h"

#include <QThread>
#include <latch>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "engine/base/error.h"

namespace expertscope {
namespace {

/// What a job told of its ends: why it failed, and whether it was cancelled.
struct Ends : std::vector<std::pair<QString, bool>> {
    explicit Ends(BackgroundJob& job) {
        QObject::connect(&job, &BackgroundJob::ended, &job,
                         [this](const QString& failure, bool cancelled) { emplace_back(failure, cancelled); });
    }
};

TEST(BackgroundJob, WorksOnAnotherThreadAndHandsOverOnThisOne) {
    BackgroundJob job;
    QThread* worked = nullptr;
    QThread* took = nullptr;
    job.start([&](const JobControl&) {
        worked = QThread::currentThread();
        return [&] { took = QThread::currentThread(); };
    });
    EXPECT_TRUE(job.running());
    job.wait();
    EXPECT_FALSE(job.running());
    EXPECT_NE(worked, QThread::currentThread());
    EXPECT_EQ(took, QThread::currentThread());
}

TEST(BackgroundJob, TellsHowFarItIs) {
    BackgroundJob job;
    std::vector<std::pair<QString, double>> progress;
    QObject::connect(&job, &BackgroundJob::progressed, &job,
                     [&](const QString& what, double share) { progress.emplace_back(what, share); });
    job.start([](const JobControl& control) {
        control.at(QStringLiteral("half"), 0.5);
        return [] {};
    });
    job.wait();
    ASSERT_EQ(progress.size(), 1U);
    EXPECT_EQ(progress[0].first, "half");
    EXPECT_EQ(progress[0].second, 0.5);
}

TEST(BackgroundJob, BringsNothingOnceItIsCancelled) {
    BackgroundJob job;
    Ends ended(job);
    std::latch begun(1), cancelled(1);
    bool passed = false, took = false;
    job.start([&](const JobControl& control) {
        begun.count_down();
        cancelled.wait();
        control.at({});
        passed = true;
        return [&] { took = true; };
    });
    begun.wait();
    job.cancel();
    EXPECT_FALSE(job.running());
    ASSERT_EQ(ended.size(), 1U);
    EXPECT_TRUE(ended[0].second);
    cancelled.count_down();
    bool next = false;
    job.start([&](const JobControl&) { return [&] { next = true; }; });
    job.wait();
    EXPECT_TRUE(next);
    EXPECT_FALSE(passed);
    EXPECT_FALSE(took);
}

TEST(BackgroundJob, ReplacesWhatIsAskedForAnew) {
    BackgroundJob job;
    std::latch begun(1), replaced(1);
    int brought = 0;
    job.start([&](const JobControl&) {
        begun.count_down();
        replaced.wait();
        return [&] { brought = 1; };
    });
    begun.wait();
    job.start([&](const JobControl&) { return [&] { brought += 10; }; });
    replaced.count_down();
    job.wait();
    EXPECT_EQ(brought, 10);
}

TEST(BackgroundJob, TellsWhyItFailed) {
    BackgroundJob job;
    Ends ended(job);
    job.start([](const JobControl&) -> BackgroundJob::Taker { throw BadInputError("The session is gone."); });
    job.wait();
    ASSERT_EQ(ended.size(), 1U);
    EXPECT_EQ(ended[0].first, "The session is gone.");
    EXPECT_FALSE(ended[0].second);
}

TEST(BackgroundJob, WaitsForWhatAResultAsksForInTurn) {
    BackgroundJob job;
    Ends ended(job);
    bool second = false;
    job.start([&](const JobControl&) {
        return [&] { job.start([&](const JobControl&) { return [&] { second = true; }; }); };
    });
    job.wait();
    EXPECT_TRUE(second);
    EXPECT_EQ(ended.size(), 1U);
}

}  // namespace
}  // namespace expertscope
