// SPDX-License-Identifier: GPL-3.0-or-later
// The whole window with all its views, and a session that is too long to be read at once.
#include <QApplication>
#include <QFile>
#include <QSettings>
#include <QTemporaryDir>
#include <memory>
#include <thread>

#include <gtest/gtest.h>

#include "app/desktop/main_window.h"
#include "app/desktop/message_bar.h"
#include "app/desktop/workspace.h"
#include "session_fixture.h"
#include "tests/storage/statement_watch.h"
#include "views/base/background_job.h"

namespace expertscope {
namespace {

class OpeningWindowTest : public ::testing::Test {
protected:
    static constexpr int kRecords = 150'000;  // of each of two kinds
    void SetUp() override {
        test::writeLongSession(longRun, kRecords);
        test::writeSession(shortRun, "pre-gated");
        show();
    }
    void show() {
        window.reset();
        window = std::make_unique<MainWindow>(settings, "/bin/false", viewCatalogue(), Theme::Mode::Light);
        window->show();
        QApplication::processEvents();
    }
    bool rests() const {
        return test::waitUntil([this] { return !window->session().isOpening() && !window->session().reading(); });
    }

    QTemporaryDir folder;
    QSettings settings{folder.filePath("settings.ini"), QSettings::IniFormat};
    QString longRun = folder.filePath("long.esdb"), shortRun = folder.filePath("short.esdb");
    std::unique_ptr<MainWindow> window;
};

TEST_F(OpeningWindowTest, ReadsNoRecordsOnItsThreadWhateverViewIsShown) {
    for (const char* view : {"overview", "experts", "timeline", "tokens"}) {
        window->workspace().showView(view);
        const StatementWatch watch;
        window->openSession(longRun);
        EXPECT_TRUE(test::waitUntil([&] { return window->session().file() == longRun; }));
        ASSERT_TRUE(rests());
        for (int look = 0; look < 3; ++look) {
            window->session().poll();
            QApplication::processEvents();
        }
        EXPECT_EQ(window->session().trace()->selections().size(), std::size_t{kRecords});
        EXPECT_EQ(watch.rows(std::this_thread::get_id(), "data FROM chunk"), 0) << view;
        EXPECT_GT(watch.rows("data FROM chunk"), 0) << view;
        window->commands().action("session.close")->trigger();
    }
}

TEST_F(OpeningWindowTest, ShowsTheSessionThatIsAskedForLast) {
    for (int round = 0; round < 6; ++round) {
        window->openSession(longRun);
        if (round % 3 == 1) QApplication::processEvents();
        if (round % 3 == 2) test::waitUntil([&] { return window->session().reading(); });
        window->openSession(shortRun);
        ASSERT_TRUE(test::waitUntil([&] { return window->session().file() == shortRun; }));
        ASSERT_TRUE(rests());
        EXPECT_EQ(window->session().file(), shortRun);
        EXPECT_EQ(window->session().trace()->entry().description.policy, "pre-gated");
    }
}

TEST_F(OpeningWindowTest, MayBeClosedWhileASessionIsOpenedOrRead) {
    for (int round = 0; round < 4; ++round) {
        window->openSession(longRun);
        if (round == 1) QApplication::processEvents();
        if (round >= 2) {
            ASSERT_TRUE(test::waitUntil([&] { return window->session().reading(); }));
        }
        show();
        EXPECT_FALSE(window->session().isOpen());
    }
}

TEST_F(OpeningWindowTest, KeepsTheStartPageUntilTheSessionIsThere) {
    window->openSession(longRun);
    EXPECT_TRUE(window->showsStartPage());
    ASSERT_TRUE(rests());
    EXPECT_FALSE(window->showsStartPage());
    window->commands().action("session.close")->trigger();
    EXPECT_TRUE(window->showsStartPage());
    window->openSession(longRun);
    window->session().opening().cancel();
    ASSERT_TRUE(rests());
    QApplication::processEvents();
    EXPECT_TRUE(window->showsStartPage());
    EXPECT_TRUE(window->messages().sentence().isEmpty());
}

TEST_F(OpeningWindowTest, TellsInOneSentenceWhatIsWrongWithADamagedSessionAndKeepsTheOther) {
    window->openSession(shortRun);
    ASSERT_TRUE(rests());
    QFile file(longRun);
    ASSERT_TRUE(file.resize(file.size() / 2));
    window->openSession(longRun);
    ASSERT_TRUE(test::waitUntil([this] { return !window->messages().sentence().isEmpty(); }));
    EXPECT_TRUE(window->messages().sentence().contains("long.esdb")) << window->messages().sentence().toStdString();
    EXPECT_EQ(window->session().file(), shortRun);
    EXPECT_FALSE(window->session().isOpening());
}

}  // namespace
}  // namespace expertscope
