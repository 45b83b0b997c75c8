// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/desktop/run_launcher.h"

#include <QFile>
#include <QTemporaryDir>

#include <gtest/gtest.h>

#include "session_fixture.h"

namespace expertscope {
namespace {

/// Runs a shell script in the place of the program and keeps what the launcher tells.
class RunLauncherTest : public ::testing::Test {
protected:
    void launch(const QByteArray& script) {
        const QString path = folder.filePath("child.sh");
        QFile file(path);
        ASSERT_TRUE(file.open(QIODevice::WriteOnly));
        file.write("#!/bin/sh\n" + script);
        file.close();
        ASSERT_TRUE(file.setPermissions(QFile::ReadOwner | QFile::WriteOwner | QFile::ExeOwner));
        launcher = std::make_unique<RunLauncher>(path);
        QObject::connect(launcher.get(), &RunLauncher::runBegan,
                         [this](const ProgressEvent& event) { runs.push_back(event); });
        QObject::connect(launcher.get(), &RunLauncher::progressed,
                         [this](const ProgressEvent& event) { progress.push_back(event); });
        QObject::connect(launcher.get(), &RunLauncher::finished, [this](JobEnd how, const QString& why) {
            end = how;
            sentence = why;
        });
        ProfileJob job;
        job.prompt = "p";
        job.policies = QStringList{"on-demand"};
        job.session = folder.filePath("s.esdb");
        launcher->start(job);
    }
    bool ended() {
        return test::waitUntil([this] { return end.has_value(); });
    }

    QTemporaryDir folder;
    std::unique_ptr<RunLauncher> launcher;
    std::vector<ProgressEvent> runs, progress;
    std::optional<JobEnd> end;
    QString sentence;
};

TEST_F(RunLauncherTest, TellsRunsAndTheirProgressInOrder) {
    launch(R"(echo '{"event":"run","run":1,"runs":2,"run_id":7,"policy":"on-demand","planned_tokens":10}' >&2
echo '{"event":"progress","run":1,"generated":5,"planned":10,"tokens_per_s":2.5,"label":"cpp"}' >&2
echo '{"event":"done","run":1}' >&2
)");
    ASSERT_TRUE(ended());
    EXPECT_EQ(end, JobEnd::Complete);
    ASSERT_EQ(runs.size(), 1U);
    EXPECT_EQ(runs[0].policy, "on-demand");
    ASSERT_EQ(progress.size(), 1U);
    EXPECT_EQ(progress[0].generated, 5);
    EXPECT_EQ(progress[0].runs, 2) << "what the run's first line said holds for its progress";
    EXPECT_EQ(progress[0].runId, 7);
}

TEST_F(RunLauncherTest, GivesTheChildTheJobAndAsksForProgressLines) {
    launch("echo \"$@\" > \"$(dirname \"$0\")/arguments\"\n");
    ASSERT_TRUE(ended());
    QFile arguments(folder.filePath("arguments"));
    ASSERT_TRUE(arguments.open(QIODevice::ReadOnly));
    const QByteArray text = arguments.readAll();
    EXPECT_TRUE(text.startsWith("run --model demo --prompt p")) << text.toStdString();
    EXPECT_TRUE(text.endsWith("--progress json\n")) << text.toStdString();
}

TEST_F(RunLauncherTest, ReadsLinesThatArriveInPiecesAndPassesOverGarbage) {
    launch(R"(printf '{"event":"run","run":1,"ru' >&2; sleep 0.1
printf 'ns":1}\nnot json\n\377\376\n{"event":"progress","run":1,"generated":3}' >&2
)");
    ASSERT_TRUE(ended());
    EXPECT_EQ(end, JobEnd::Complete);
    EXPECT_EQ(runs.size(), 1U);
    ASSERT_EQ(progress.size(), 1U) << "a last line without an end counts";
    EXPECT_EQ(progress[0].generated, 3);
}

TEST_F(RunLauncherTest, TellsTheChildsOwnSentenceWhenTheJobFails) {
    launch("echo '{\"event\":\"error\",\"sentence\":\"The disk is full.\"}' >&2; exit 1\n");
    ASSERT_TRUE(ended());
    EXPECT_EQ(end, JobEnd::Failed);
    EXPECT_EQ(sentence, "The disk is full.");
}

TEST_F(RunLauncherTest, TellsACrashWithItsSignalAndLastWords) {
    launch("echo 'about to fall' >&2; kill -SEGV $$\n");
    ASSERT_TRUE(ended());
    EXPECT_EQ(end, JobEnd::Failed);
    EXPECT_TRUE(sentence.contains("signal 11")) << sentence.toStdString();
    EXPECT_TRUE(sentence.contains("kept")) << sentence.toStdString();
    EXPECT_TRUE(sentence.contains("about to fall")) << sentence.toStdString();
}

TEST_F(RunLauncherTest, TellsThatAProgramCannotBeStarted) {
    RunLauncher none(folder.filePath("no such program"));
    QString told;
    QObject::connect(&none, &RunLauncher::finished, [&](JobEnd, const QString& why) { told = why; });
    none.start(ProfileJob{});
    ASSERT_TRUE(test::waitUntil([&] { return !told.isEmpty(); }));
    EXPECT_TRUE(told.contains("no such program")) << told.toStdString();
    EXPECT_FALSE(none.isRunning());
}

TEST_F(RunLauncherTest, InterruptsTheChildAndReportsItAsStopped) {
    launch(R"(trap 'echo interrupted > "$(dirname "$0")/how"; exit 130' INT
echo '{"event":"run","run":1,"runs":1}' >&2
while :; do sleep 0.02; done
)");
    ASSERT_TRUE(test::waitUntil([this] { return !runs.empty(); }));
    launcher->stop();
    ASSERT_TRUE(ended());
    EXPECT_EQ(end, JobEnd::Stopped);
    EXPECT_TRUE(QFile::exists(folder.filePath("how"))) << "the child was asked, not ended";
}

TEST_F(RunLauncherTest, EndsAChildThatDoesNotListen) {
    launch(R"(trap '' INT
echo '{"event":"run","run":1,"runs":1}' >&2
while :; do sleep 0.02; done
)");
    ASSERT_TRUE(test::waitUntil([this] { return !runs.empty(); }));
    launcher->stop();
    EXPECT_TRUE(launcher->isRunning());
    ASSERT_TRUE(ended());
    EXPECT_EQ(end, JobEnd::Stopped);
}

}  // namespace
}  // namespace expertscope
