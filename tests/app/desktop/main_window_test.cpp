// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/desktop/main_window.h"

#include <QApplication>
#include <QComboBox>
#include <QDockWidget>
#include <QDropEvent>
#include <QFile>
#include <QListWidget>
#include <QMimeData>
#include <QPushButton>
#include <QSettings>
#include <QTemporaryDir>
#include <QTest>

#include <gtest/gtest.h>

#include "app/desktop/message_bar.h"
#include "app/desktop/recent_sessions.h"
#include "app/desktop/session_import.h"
#include "app/desktop/view_dock.h"
#include "app/desktop/workspace.h"
#include "foreign_file.h"
#include "session_fixture.h"
#include "views/base/table_model.h"
#include "views/base/view.h"

namespace expertscope {
namespace {

/// A view that shows nothing but counts what it is asked: the window is tested apart from the views.
class PlainView : public View {
public:
    PlainView(const QString& name, SessionModel& session, SelectionModel& selection, QWidget* parent)
        : View(session, selection, parent), m_name(name) {
        setFocusPolicy(Qt::StrongFocus);
        m_table.setTable({"n"}, {{TableCell("2", 2)}, {TableCell("10", 10)}});
    }
    QString name() const override { return m_name; }
    QString title() const override { return "View " + m_name; }
    void setTheme(const Theme& theme) override { mode = theme.mode(); }
    void refresh() override {}
    void exportTo(const QString&, const QSize&) override {}
    QAbstractItemModel* table() override { return &m_table; }
    Theme::Mode mode = Theme::Mode::Light;

private:
    QString m_name;
    TableModel m_table;
};

std::vector<ViewEntry> plainViews() {
    std::vector<ViewEntry> views;
    for (const char* name :
         {"overview", "experts", "timeline", "tokens", "cache", "links", "norms", "diversity", "compare", "whatif"}) {
        views.push_back(
            {name, QString("View ") + name, [name](SessionModel& session, SelectionModel& selection, QWidget* parent) {
                 return new PlainView(name, session, selection, parent);
             }});
    }
    return views;
}

class MainWindowTest : public ::testing::Test {
protected:
    void SetUp() override {
        first = folder.filePath("first.esdb");
        second = folder.filePath("second.esdb");
        test::writeSession(first);
        test::writeSession(second, "pre-gated");
        open();
    }
    void open() {
        window.reset();
        window = std::make_unique<MainWindow>(settings, program, plainViews(), Theme::Mode::Light);
        window->show();
        QApplication::setActiveWindow(window.get());
        QApplication::processEvents();
    }
    /// Opens a session and waits until it is shown, or told why not.
    bool openSession(const QString& file) {
        window->openSession(file);
        return test::waitUntil([this] { return !window->session().isOpening(); }) && window->session().file() == file;
    }
    /// A script in the place of the program.
    void useProgram(const QByteArray& script) {
        program = folder.filePath("program.sh");
        QFile file(program);
        ASSERT_TRUE(file.open(QIODevice::WriteOnly));
        file.write("#!/bin/sh\n" + script);
        file.setPermissions(QFile::ReadOwner | QFile::WriteOwner | QFile::ExeOwner);
        file.close();
        open();
    }
    void drop(const QString& file) {
        QMimeData data;
        data.setUrls({QUrl::fromLocalFile(file)});
        QDragEnterEvent enter(QPoint(10, 10), Qt::CopyAction, &data, Qt::LeftButton, Qt::NoModifier);
        QApplication::sendEvent(window.get(), &enter);
        ASSERT_TRUE(enter.isAccepted());
        QDropEvent dropped(QPointF(10, 10), Qt::CopyAction, &data, Qt::LeftButton, Qt::NoModifier);
        QApplication::sendEvent(window.get(), &dropped);
    }

    QTemporaryDir folder;
    QSettings settings{folder.filePath("settings.ini"), QSettings::IniFormat};
    QString first, second, program = "/bin/false";
    std::unique_ptr<MainWindow> window;
};

TEST_F(MainWindowTest, NoKeyMeansTwoThings) {
    EXPECT_TRUE(window->commands().conflicts().isEmpty()) << window->commands().conflicts().join("\n").toStdString();
}

TEST_F(MainWindowTest, StartsWithThreeThingsToDoAndShowsASessionOnceOneIsOpen) {
    EXPECT_TRUE(window->showsStartPage());
    EXPECT_EQ(window->findChild<QWidget*>("startPage")->findChildren<QAbstractButton*>().size(), 3);
    EXPECT_FALSE(window->findChild<QWidget*>("mainToolBar")->isVisible());
    ASSERT_TRUE(openSession(first));
    EXPECT_FALSE(window->showsStartPage());
    EXPECT_TRUE(window->findChild<QWidget*>("mainToolBar")->isVisible());
    window->commands().action("session.close")->trigger();
    EXPECT_TRUE(window->showsStartPage());
}

TEST_F(MainWindowTest, OpensASessionThatIsDroppedOnIt) {
    drop(first);
    EXPECT_TRUE(test::waitUntil([this] { return window->session().file() == first; }));
    drop(second);
    EXPECT_TRUE(test::waitUntil([this] { return window->session().file() == second; }));
}

TEST_F(MainWindowTest, RemembersOpenedSessionsForTheStartPage) {
    openSession(first);
    openSession(second);
    open();
    auto* list = window->findChild<QListWidget*>("recentSessions");
    ASSERT_EQ(list->count(), 2);
    emit list->itemActivated(list->item(0));
    EXPECT_TRUE(test::waitUntil([this] { return window->session().file() == second; }));
}

TEST_F(MainWindowTest, TellsWhatIsWrongWithAFileAndKeepsTheSessionThatIsOpen) {
    openSession(first);
    const QString bad = folder.filePath("bad.esdb");
    QFile file(bad);
    ASSERT_TRUE(file.open(QIODevice::WriteOnly));
    file.write("this is no session");
    file.close();
    EXPECT_FALSE(openSession(bad));
    EXPECT_TRUE(window->messages().sentence().contains("bad.esdb")) << window->messages().sentence().toStdString();
    EXPECT_EQ(window->session().file(), first);
    EXPECT_FALSE(RecentSessions(settings).files().contains(bad));
}

TEST_F(MainWindowTest, TitleNamesSelectionAndSession) {
    EXPECT_EQ(window->windowTitle(), "ExpertScope");
    openSession(first);
    Selection s;
    s.layer = LayerIndex(1);
    s.expert = ExpertId(3);
    window->selection().set(s);
    EXPECT_EQ(window->windowTitle(), "layer 1 · expert 3 — first.esdb — ExpertScope");
    openSession(second);
    EXPECT_EQ(window->windowTitle(), "second.esdb — ExpertScope") << "another session starts with nothing selected";
}

TEST_F(MainWindowTest, EscapeDropsTheNewestChipAndUndoBringsItBack) {
    openSession(first);
    Selection s;
    s.layer = LayerIndex(1);
    window->selection().set(s);
    s.expert = ExpertId(3);
    window->selection().set(s);
    window->commands().action("selection.drop")->trigger();
    EXPECT_FALSE(window->selection().current().expert);
    EXPECT_TRUE(window->selection().current().layer);
    window->commands().action("selection.undo")->trigger();
    EXPECT_TRUE(window->selection().current().expert);
}

TEST_F(MainWindowTest, NumberKeysShowTheViews) {
    openSession(first);
    QTest::keyClick(window.get(), Qt::Key_3);
    EXPECT_EQ(window->workspace().currentView()->view().name(), "timeline");
    EXPECT_TRUE(test::waitUntil([&] { return window->workspace().currentView()->view().isVisible(); }));
    EXPECT_EQ(window->workspace().currentView()->view().name(), "timeline");
    EXPECT_FALSE(window->workspace().views().front()->view().isVisible()) << "a view behind another tab rests";
    QTest::keyClick(window.get(), Qt::Key_1);
    EXPECT_EQ(window->workspace().currentView()->view().name(), "overview");
    QTest::keyClick(window.get(), Qt::Key_0);
    EXPECT_EQ(window->workspace().currentView()->view().name(), "whatif") << "the tenth";
}

TEST_F(MainWindowTest, TShowsTheTableTwinOfTheCurrentViewAndBack) {
    openSession(first);
    window->workspace().showView("experts");
    ViewDock* dock = window->workspace().currentView();
    window->commands().action("view.table")->trigger();
    EXPECT_TRUE(dock->showsTable());
    EXPECT_FALSE(dock->view().isVisible());
    window->commands().action("view.table")->trigger();
    EXPECT_FALSE(dock->showsTable());
}

TEST_F(MainWindowTest, ExportsTheTableTwinWithExactValues) {
    const QString file = folder.filePath("t.csv");
    window->workspace().views().front()->exportTable(file);
    QFile csv(file);
    ASSERT_TRUE(csv.open(QIODevice::ReadOnly));
    EXPECT_EQ(csv.readAll(), "n\n2\n10\n");
}

TEST_F(MainWindowTest, KeepsItsLayoutUntilItIsReset) {
    openSession(first);
    QDockWidget* runs = window->workspace().panels().front();
    runs->hide();
    window->close();
    open();
    openSession(first);
    runs = window->workspace().panels().front();
    EXPECT_FALSE(runs->isVisible());
    window->commands().action("window.reset")->trigger();
    EXPECT_TRUE(runs->isVisible());
}

TEST_F(MainWindowTest, StandardLayoutShowsTheTimelineBesideTheOthersWhereThereIsRoom) {
    openSession(first);
    const auto timelineIsVisible = [this] { return window->workspace().views()[2]->view().isVisible(); };
    EXPECT_FALSE(timelineIsVisible());
    window->resize(1900, 1000);
    window->commands().action("window.reset")->trigger();
    EXPECT_TRUE(test::waitUntil(timelineIsVisible));
    EXPECT_TRUE(window->workspace().views()[0]->view().isVisible());
}

TEST_F(MainWindowTest, StartsWithTheStandardLayoutWhereTheKeptOneIsDamaged) {
    settings.setValue("layout/workspace", QByteArray("nonsense"));
    settings.setValue("layout/views", QByteArray("nonsense"));
    open();
    openSession(first);
    for (QDockWidget* panel : window->workspace().panels())
        EXPECT_TRUE(panel->isVisible());
    EXPECT_EQ(window->workspace().currentView()->view().name(), "overview");
}

TEST_F(MainWindowTest, TogglesTheThemeOfEveryViewAndKeepsIt) {
    window->commands().action("window.theme")->trigger();
    EXPECT_EQ(static_cast<PlainView&>(window->workspace().views().front()->view()).mode, Theme::Mode::Dark);
    open();
    EXPECT_EQ(window->theme(), Theme::Mode::Dark);
}

TEST_F(MainWindowTest, ShowsTheSessionOfAJobAsSoonAsItIsThereAndKeepsItWhenTheJobDies) {
    const QString out = folder.filePath("job.esdb");
    useProgram(
        "cp '" + first.toUtf8() + "' '" + out.toUtf8() +
        "'\n"
        "echo '{\"event\":\"run\",\"run\":1,\"runs\":1,\"run_id\":1,\"policy\":\"on-demand\",\"planned_tokens\":4}' "
        ">&2\n"
        "sleep 0.3; kill -KILL $$\n");
    ProfileJob job;
    job.prompt = "p";
    job.policies = QStringList{"on-demand"};
    job.session = out;
    window->startJob(job);
    EXPECT_FALSE(window->showsStartPage());
    EXPECT_TRUE(test::waitUntil([&] { return window->session().file() == out; }));
    EXPECT_TRUE(window->launcher().isRunning()) << "the session is shown while the run goes on";
    ASSERT_TRUE(test::waitUntil([&] { return !window->launcher().isRunning(); }));
    EXPECT_TRUE(window->messages().sentence().contains("signal 9")) << window->messages().sentence().toStdString();
    EXPECT_EQ(window->session().file(), out);
    EXPECT_FALSE(window->commands().action("run.stop")->isEnabled());
}

TEST_F(MainWindowTest, GoesBackToTheStartPageWhenAJobLeavesNothing) {
    useProgram("echo '{\"event\":\"error\",\"sentence\":\"There is no such model.\"}' >&2; exit 3\n");
    ProfileJob job;
    job.session = folder.filePath("none.esdb");
    window->startJob(job);
    ASSERT_TRUE(test::waitUntil([&] { return !window->messages().sentence().isEmpty(); }));
    EXPECT_EQ(window->messages().sentence(), "There is no such model.");
    EXPECT_TRUE(window->showsStartPage());
}

TEST_F(MainWindowTest, OffersToImportAnotherToolsFileThatIsDroppedAndShowsWhatItBecame) {
    const QString table = folder.filePath("routes.csv");
    test::writeFile(table, test::routingTable(40, 20));
    drop(table);
    auto* start = window->findChild<QPushButton*>("importStart");
    ASSERT_NE(start, nullptr);
    ASSERT_TRUE(test::waitUntil([&] { return start->isEnabled(); }));
    start->click();
    EXPECT_TRUE(window->import().isRunning());
    EXPECT_FALSE(window->commands().action("session.import")->isEnabled());
    ASSERT_TRUE(test::waitUntil([&] { return window->session().file() == folder.filePath("routes.esdb"); }));
    EXPECT_EQ(window->session().trace()->selections().size(), 40U);
    EXPECT_TRUE(window->messages().sentence().startsWith("20 rows excluded: 20 tokens"))
        << window->messages().sentence().toStdString();
    EXPECT_TRUE(window->commands().action("session.import")->isEnabled());

    auto* offer = window->findChild<QPushButton*>("messageOffer");
    ASSERT_TRUE(offer->isVisible());
    offer->click();
    // The window follows the session, and so may show the run before it is whole.
    ASSERT_TRUE(test::waitUntil([&] { return !window->import().isRunning(); }));
    EXPECT_EQ(window->session().currentRun(), RunId(2));
    EXPECT_EQ(window->session().trace()->selections().size(), 60U);
    EXPECT_TRUE(window->messages().sentence().startsWith("Imported as run 2")) << "nothing was left out";
    EXPECT_FALSE(offer->isVisible());
}

TEST_F(MainWindowTest, TellsWhatIsWrongWithAnImportAndKeepsTheSessionThatIsOpen) {
    openSession(first);
    ImportRequest request;
    request.file = folder.filePath("routes.csv");
    request.session = folder.filePath("routes.esdb");
    test::writeFile(request.file, "token,layer,expert\n0,0,1\n1,0,x\n");
    window->startImport(request);
    ASSERT_TRUE(test::waitUntil([&] { return !window->messages().sentence().isEmpty(); }));
    EXPECT_TRUE(window->messages().sentence().contains("Line 3")) << window->messages().sentence().toStdString();
    EXPECT_EQ(window->session().file(), first);
}

TEST_F(MainWindowTest, OffersToImportWhatIsOpenedAndIsNoSession) {
    const QString table = folder.filePath("routes.csv");
    test::writeFile(table, test::routingTable(40));
    EXPECT_FALSE(openSession(table));
    auto* offer = window->findChild<QPushButton*>("messageOffer");
    ASSERT_TRUE(test::waitUntil([&] { return offer->isVisible(); }));
    offer->click();
    EXPECT_NE(window->findChild<QWidget*>("importDialog"), nullptr);
    EXPECT_TRUE(window->messages().sentence().isEmpty());
}

TEST_F(MainWindowTest, RunChooserMakesARunCurrent) {
    test::writeSession(first, "prefetch-all");  // appended: a second run
    openSession(first);
    auto* chooser = window->findChild<QComboBox*>("runChooser");
    ASSERT_EQ(chooser->count(), 2);
    EXPECT_EQ(chooser->currentIndex(), 1) << "the newest run is shown first";
    chooser->setCurrentIndex(0);
    emit chooser->activated(0);
    EXPECT_EQ(window->session().currentRun(), RunId(1));
}

}  // namespace
}  // namespace expertscope
