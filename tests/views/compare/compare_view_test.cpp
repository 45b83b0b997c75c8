// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/compare/compare_view.h"

#include <QComboBox>
#include <QImage>

#include <gtest/gtest.h>

#include "scratch_session.h"
#include "views/base/selection.h"
#include "views/base/session_model.h"
#include "views/base/theme.h"

namespace expertscope {
namespace {

struct Window {
    Window() : file(ScratchSession::Empty{}) {
        writeSimulatedRun(file.writer(), {.policy = "on-demand", .prefetch = false});
        writeSimulatedRun(file.writer(), {.policy = "pre-gated"});
        session.open(file.file());
        view = std::make_unique<CompareView>(session, selection);
        view->refresh();
    }
    ScratchSession file;
    SessionModel session;
    SelectionModel selection;
    std::unique_ptr<CompareView> view;
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
    hidden.show();
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
    EXPECT_EQ(window.view->matched().length(0), lengthOfB);
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
