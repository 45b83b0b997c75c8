// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/desktop/session_import.h"

#include <QFileInfo>
#include <QTemporaryDir>
#include <optional>

#include <gtest/gtest.h>

#include "foreign_file.h"
#include "session_fixture.h"
#include "storage/session_reader.h"

namespace expertscope {
namespace {

constexpr int kManyTokens = 300'000;  // some tenths of a second

class SessionImportTest : public ::testing::Test {
protected:
    SessionImportTest() {
        QObject::connect(&import, &SessionImport::imported, [this](const ImportOutcome& o) { outcome = o; });
        QObject::connect(&import, &SessionImport::failed, [this](const QString& s) { failure = s; });
        QObject::connect(&import, &SessionImport::cancelled, [this](const QString& s) { cancelled = s; });
    }
    ImportRequest request(const QByteArray& bytes, const char* name = "routes.csv") {
        ImportRequest made;
        made.file = folder.filePath(name);
        made.session = session;
        test::writeFile(made.file, bytes);
        return made;
    }
    bool ends() {
        return test::waitUntil([this] { return !import.isRunning(); });
    }
    /// Cancels an import once `words` stand in what is told of it.
    void cancelAt(const QString& words, const ImportRequest& asked) {
        QObject::connect(&import.job(), &BackgroundJob::progressed, &import,
                         [this, words](const QString& what, double) {
                             if (import.isRunning() && what.contains(words)) import.job().cancel();
                         });
        import.start(asked);
        ASSERT_TRUE(ends());
        import.job().start([](const JobControl&) { return BackgroundJob::Taker();
    });  // comes after what was cancelled
    import.job().wait();
} std::vector<RunEntry> runs() { return SessionReader(session.toStdString()).runs(); }

QTemporaryDir folder;
QString session = folder.filePath("s.esdb");
std::optional<ImportOutcome> outcome;
QString failure, cancelled;
SessionImport import;
};  // namespace

TEST_F(SessionImportTest, MakesASessionOfAFileOfAnotherTool) {
    import.start(request(test::routingTable(40)));
    EXPECT_TRUE(import.isRunning());
    ASSERT_TRUE(ends());
    ASSERT_TRUE(outcome) << failure.toStdString();
    EXPECT_EQ(outcome->format, "csv");
    EXPECT_EQ(outcome->run.summary.selections, 40);
    EXPECT_EQ(outcome->run.excludedRows, 0);
    ASSERT_EQ(runs().size(), 1U);
    EXPECT_EQ(runs().front().state, RunState::Complete);
    const QString text = importedText(*outcome);
    EXPECT_TRUE(text.startsWith("Imported as run 1 of s.esdb from csv: 40 selections of 40 tokens of routes."))
        << text.toStdString();
}

TEST_F(SessionImportTest, LeavesOutWarmUpUnlessItIsWanted) {
    ImportRequest asked = request(test::routingTable(40, 20));
    import.start(asked);
    ASSERT_TRUE(ends());
    EXPECT_EQ(outcome->run.excludedRows, 20);
    EXPECT_EQ(outcome->run.summary.selections, 40);
    asked.options.keepWarmUp = true;
    import.start(asked);
    ASSERT_TRUE(ends());
    EXPECT_EQ(outcome->run.excludedRows, 0);
    EXPECT_EQ(outcome->run.summary.selections, 60);
    EXPECT_EQ(runs().size(), 2U) << "another run of the session that there is";
}

TEST_F(SessionImportTest, TellsTheImportersSentenceWithItsPlaceAndMakesNoSession) {
    import.start(request("token,layer,expert\n0,0,1\n1,0,x\n"));
    ASSERT_TRUE(ends());
    EXPECT_FALSE(outcome);
    EXPECT_TRUE(failure.contains("Line 3") && failure.contains("routes.csv")) << failure.toStdString();
    EXPECT_FALSE(QFileInfo::exists(session));
    import.start(request("nothing of the kind", "x.txt"));
    ASSERT_TRUE(ends());
    EXPECT_TRUE(failure.contains("begins like no format")) << failure.toStdString();
}

TEST_F(SessionImportTest, TakesTheFormatThatIsNamed) {
    ImportRequest asked = request(test::routingTable(40));
    asked.format = "chrome";
    import.start(asked);
    ASSERT_TRUE(ends());
    EXPECT_TRUE(failure.contains("no JSON")) << failure.toStdString();
}

TEST_F(SessionImportTest, LeavesNothingWhenItIsCancelledWhileItReads) {
    cancelAt("Reading", request(test::routingTable(kManyTokens)));
    EXPECT_TRUE(cancelled.contains("nothing of it was kept")) << cancelled.toStdString();
    EXPECT_FALSE(outcome);
    EXPECT_FALSE(QFileInfo::exists(session));
}

TEST_F(SessionImportTest, TakesANewSessionAwayWhenItIsCancelledWhileItWrites) {
    cancelAt("Writing", request(test::routingTable(kManyTokens)));
    EXPECT_TRUE(cancelled.contains("nothing of it was kept")) << cancelled.toStdString();
    EXPECT_FALSE(outcome);
    EXPECT_FALSE(QFileInfo::exists(session));
    EXPECT_FALSE(QFileInfo::exists(session + "-wal"));
}

TEST_F(SessionImportTest, KeepsTheOtherRunsOfASessionWhenItIsCancelled) {
    test::writeSession(session);
    cancelAt("Writing", request(test::routingTable(kManyTokens)));
    EXPECT_TRUE(cancelled.contains("failed run")) << cancelled.toStdString();
    ASSERT_EQ(runs().size(), 2U);
    EXPECT_EQ(runs()[0].state, RunState::Complete);
    EXPECT_EQ(runs()[1].state, RunState::Failed);
}

TEST_F(SessionImportTest, EndsWithItsWindow) {
    {
        SessionImport left;
        left.start(request(test::routingTable(kManyTokens)));
        test::waitUntil([&] { return QFileInfo::exists(session); }, 300);
    }
    EXPECT_FALSE(QFileInfo::exists(session));
}

TEST_F(SessionImportTest, IsACommandThatTheShellTakes) {
    ImportRequest asked;
    asked.file = "/data/my trace.csv";
    asked.session = "/data/s.esdb";
    EXPECT_EQ(asked.commandLine(), "expertscope import '/data/my trace.csv' --out /data/s.esdb");
    asked.format = "csv";
    asked.options.keepWarmUp = true;
    asked.options.layers = 4;
    asked.options.experts = 8;
    asked.options.topK = 2;
    asked.options.expertBytes = Bytes(4096);
    asked.options.modelName = "m";
    EXPECT_EQ(asked.commandLine(),
              "expertscope import '/data/my trace.csv' --out /data/s.esdb --format csv --keep-warmup --model-name m "
              "--layers 4 --experts 8 --top-k 2 --expert-bytes 4096");
}

TEST_F(SessionImportTest, NamesTheSessionAfterItsSource) {
    EXPECT_EQ(sessionBeside(folder.filePath("trace.json")), folder.filePath("trace.esdb"));
    EXPECT_EQ(sessionBeside(folder.filePath("trace.json.gz")), folder.filePath("trace.esdb"));
    test::writeFile(folder.filePath("trace.esdb"), "");
    EXPECT_EQ(sessionBeside(folder.filePath("trace.json")), folder.filePath("trace-2.esdb"));
}

TEST_F(SessionImportTest, TellsSessionsFromOtherFiles) {
    test::writeSession(session);
    const QString unnamed = folder.filePath("unnamed");
    ASSERT_TRUE(QFile::copy(session, unnamed));
    EXPECT_TRUE(isSessionFile(unnamed));
    EXPECT_TRUE(isSessionFile(folder.filePath("none.esdb")));
    EXPECT_FALSE(isSessionFile(request(test::routingTable(4)).file));
    QByteArray other("SQLite format 3\0", 16);
    other.resize(200);
    test::writeFile(folder.filePath("report.sqlite"), other);
    EXPECT_FALSE(isSessionFile(folder.filePath("report.sqlite")));
}

}  // namespace expertscope
}  // namespace expertscope
