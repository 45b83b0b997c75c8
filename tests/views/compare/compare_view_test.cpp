// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/compare/compare_view.h"

#include <QComboBox>
#include <QImage>
#include <QPushButton>
#include <QSpinBox>
#include <QTest>

#include <gtest/gtest.h>

#include "view_window.h"
#include "views/base/selection.h"
#include "views/base/session_model.h"
#include "views/base/theme.h"

namespace expertscope {
namespace {

struct Window : ViewWindow<CompareView> {
    Window() : ViewWindow({{.policy = "on-demand", .prefetch = false}, {.policy = "pre-gated"}}) { view->refresh(); }
};

TEST(CompareView, ListsEveryRunInItsTable) {
    Window window;
    EXPECT_EQ(window.view->table()->rowCount(), 2);
    EXPECT_EQ(window.view->table()->columnCount(), window.view->model().columns().size());
}

TEST(CompareView, ReadsTheRunsOnlyWhenItIsLookedAt) {
    Window window;
    CompareView hidden(window.session, window.selection);
    EXPECT_TRUE(hidden.model().empty());
    EXPECT_FALSE(hidden.counting());
    hidden.show();
    EXPECT_TRUE(hidden.counting());
    hidden.refresh();
    EXPECT_EQ(hidden.model().runs().size(), 2U);
}

TEST(CompareView, ComparesTheRunsThatAreChosen) {
    Window window;
    const auto boxes = window.view->findChildren<QComboBox*>();
    ASSERT_EQ(boxes.size(), 2);
    EXPECT_EQ(boxes[0]->count(), 2);
    const double lengthOfB = window.view->matched().length(1);
    EXPECT_GT(lengthOfB, 0);
    boxes[0]->setCurrentIndex(1);
    boxes[1]->setCurrentIndex(0);
    EXPECT_EQ(window.view->model().a(), 1);
    EXPECT_EQ(window.view->model().b(), 0);
    EXPECT_EQ(window.view->matched().length(0), lengthOfB) << "it has been counted for the other side";
    EXPECT_EQ(window.view->matched().length(0), lengthOfB);
}

TEST(CompareView, ShowsNothingOfAnotherRequestWhileItIsCounted) {
    Window window;
    auto* const request = window.view->findChild<QSpinBox*>();
    ASSERT_NE(request, nullptr);
    ASSERT_EQ(request->maximum(), 2);
    const double lengthOfFirst = window.view->matched().length(0);
    request->setValue(2);
    EXPECT_TRUE(window.view->counting());
    EXPECT_EQ(window.view->matched().length(0), 0);
    window.view->refresh();
    EXPECT_GT(window.view->matched().length(0), 0);
    request->setValue(0);
    EXPECT_FALSE(window.view->counting());
    EXPECT_EQ(window.view->matched().length(0), lengthOfFirst);
}

TEST(CompareView, CountsWhatCountingOnTheSpotGives) {
    Window window;
    ASSERT_EQ(window.view->model().runs().size(), 2U);
    for (const RunFigures& counted : window.view->model().runs()) {
        const RunFigures direct = figuresOf(*window.session.trace(counted.id));
        EXPECT_EQ(counted.tokenMs, direct.tokenMs);
        EXPECT_EQ(counted.accesses, direct.accesses);
        EXPECT_EQ(counted.hits, direct.hits);
        EXPECT_EQ(counted.time.wait, direct.time.wait);
        EXPECT_EQ(counted.time.compute, direct.time.compute);
    }
    const MatchedLanes direct(*window.session.trace(RunId(1)), RequestIndex(0));
    EXPECT_EQ(window.view->matched().length(0), direct.length());
}

TEST(CompareView, ForgetsASessionThatIsLeftWhileItIsCounted) {
    Window window;
    ScratchSession other{ScratchSession::Empty{}};
    writeSimulatedRun(other.writer(), {.policy = "prefetch-all"});
    window.session.open(window.file.file());
    for (const RunEntry& run : window.session.runs())
        ASSERT_TRUE(QTest::qWaitFor([&] { return window.session.trace(run.id)->isWhole(); }));
    window.view->show();
    ASSERT_TRUE(window.view->counting());
    window.session.open(other.file());
    EXPECT_TRUE(window.view->model().empty());
    EXPECT_EQ(window.view->table()->rowCount(), 0);
    window.view->refresh();
    ASSERT_EQ(window.view->model().runs().size(), 1U);
    EXPECT_EQ(window.view->model().runs().front().description.policy, "prefetch-all");
    window.session.open(window.file.file());
    window.session.close();
    EXPECT_FALSE(window.view->counting());
    EXPECT_TRUE(window.view->model().empty());
}

TEST(CompareView, LeavesOffWhenItIsCancelledAndGoesOnWhenAsked) {
    Window window;
    CompareView view(window.session, window.selection);
    view.show();
    ASSERT_TRUE(view.counting());
    const auto click = [&](const QString& text) {
        for (QPushButton* button : view.findChildren<QPushButton*>())
            if (button->text() == text) return button->click();
        FAIL() << "no button " << text.toStdString();
    };
    click("Cancel");
    EXPECT_FALSE(view.counting());
    EXPECT_TRUE(view.model().empty());
    window.session.poll();
    EXPECT_FALSE(view.counting());
    click("Count on");
    EXPECT_TRUE(view.counting());
    view.refresh();
    EXPECT_EQ(view.model().runs().size(), 2U);
}

TEST(CompareView, ComparesRunsThatAreReadByAndBy) {
    Window window;
    SessionModel session;
    session.setReadAtOnce(1);
    session.open(window.file.file());
    CompareView view(session, window.selection);
    view.refresh();
    EXPECT_EQ(view.model().runs().size(), 2U);
    EXPECT_GT(view.matched().length(0), 0);
}

TEST(CompareView, ExportsBothThemes) {
    Window window;
    for (const Theme::Mode mode : {Theme::Mode::Light, Theme::Mode::Dark}) {
        window.view->setTheme(Theme::of(mode));
        const QString file = window.file.picture(mode == Theme::Mode::Dark ? "compare_dark.png" : "compare_light.png");
        window.view->exportTo(file, QSize(1400, 860));
        const QImage image(file);
        ASSERT_EQ(image.size(), QSize(1400, 860));
        int coloured = 0;
        for (int y = 0; y < image.height(); y += 3)
            for (int x = 0; x < image.width(); x += 3)
                coloured += image.pixelColor(x, y) == Theme::of(mode).color(Meaning::RunB) ? 1 : 0;
        EXPECT_GT(coloured, 200);
    }
}

TEST(CompareView, SaysWhatWouldFillIt) {
    SessionModel session;
    SelectionModel selection;
    CompareView view(session, selection);
    view.refresh();
    EXPECT_EQ(view.table()->rowCount(), 0);
}

}  // namespace
}  // namespace expertscope
