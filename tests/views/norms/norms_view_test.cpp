// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/norms/norms_view.h"

#include <QImage>
#include <QTableView>
#include <QTest>

#include <gtest/gtest.h>

#include "norms_fixture.h"
#include "told_sentence.h"
#include "view_window.h"
#include "views/base/matrix_chart.h"
#include "views/base/session_model.h"
#include "views/base/theme.h"

namespace expertscope {
namespace {

struct Window : ViewWindow<NormsView, NormedRun> {
    Window() : ViewWindow(kThreeTokens) {}
};

TEST(NormsView, CountsEverythingBeforeItIsExported) {
    Window window;
    window.view->refresh();
    ASSERT_TRUE(window.view->model().token());
    EXPECT_FALSE(window.view->counting());
    for (const Chart* chart : {static_cast<const Chart*>(&window.view->mapChart()),
                               static_cast<const Chart*>(&window.view->ranksChart()), &window.view->tokenChart()})
        EXPECT_FALSE(chart->isMissing()) << chart->missing().toStdString();
    EXPECT_EQ(window.view->importanceTable().model()->rowCount(), 4);
    EXPECT_EQ(window.view->table()->rowCount(), 2 * 4 + 4);
}

TEST(NormsView, FollowsTheSharedTokenLayerAndExpert) {
    Window window;
    window.view->show();
    ASSERT_TRUE(QTest::qWaitFor([&] { return window.view->model().token() != nullptr; }, 20000));
    Selection selection;
    selection.tokens = TokenRange{TokenIndex(2), TokenIndex(3)};
    selection.layer = LayerIndex(1);
    selection.expert = ExpertId(1);
    window.selection.set(selection);
    EXPECT_EQ(window.view->model().layer(), 1);
    EXPECT_TRUE(QTest::qWaitFor([&] { return window.view->model().token()->token == 2; }, 20000));
    EXPECT_TRUE(window.view->tokenChart().heading().contains("Layer 1 · token 2"));
    const auto rows = window.view->importanceTable().selectionModel()->selectedRows();
    ASSERT_EQ(rows.size(), 1);
    EXPECT_EQ(rows[0].data().toString(), "1");
    QTest::keyClick(window.view.get(), Qt::Key_Up);
    EXPECT_EQ(window.selection.current().layer, LayerIndex(0));
    EXPECT_EQ(window.view->model().layer(), 0);
}

TEST(NormsView, ShowsActivationsWhereTheRunKeptThem) {
    Window without;
    without.view->refresh();
    EXPECT_TRUE(without.view->activationsChart().isHidden());
    without.view->showActivations(true);
    EXPECT_FALSE(without.view->activationsChart().isHidden());
    EXPECT_EQ(without.view->activationsChart().missing(), "No activations of single tokens");

    Window window;
    window.keepActivations();
    window.view->refresh();
    EXPECT_FALSE(window.view->activationsChart().isHidden());
    EXPECT_EQ(window.view->model().token()->token, 1) << "the first that has them";
    EXPECT_EQ(window.view->model().layer(), 1);
    EXPECT_TRUE(window.view->activations().has(1, 1));
    EXPECT_FALSE(window.view->activationsChart().isMissing());
    EXPECT_EQ(window.view->table()->rowCount(), 2 * 4 + 4 + 4 * 3);
    window.view->show();
    Selection selection;
    selection.tokens = TokenRange{TokenIndex(2), TokenIndex(3)};
    window.selection.set(selection);
    EXPECT_TRUE(QTest::qWaitFor([&] { return window.view->activations().has(1, 2); }, 20000));
    selection.layer = LayerIndex(0);
    window.selection.set(selection);
    EXPECT_TRUE(QTest::qWaitFor([&] { return window.view->activations().has(0, 2); }, 20000));
    EXPECT_EQ(window.view->activationsChart().missing(), "Layer 0 has no activations of token 2");
    window.view->showActivations(false);
    EXPECT_TRUE(window.view->activationsChart().isHidden());
}

TEST(NormsView, ExportsBothThemes) {
    Window window;
    for (const Theme::Mode mode : {Theme::Mode::Light, Theme::Mode::Dark}) {
        window.view->setTheme(Theme::of(mode));
        const QString file = window.file.picture(mode == Theme::Mode::Dark ? "norms_dark.png" : "norms_light.png");
        window.view->exportTo(file, QSize(1400, 800));
        const QImage image(file);
        ASSERT_EQ(image.size(), QSize(1400, 800));
        int norms = 0;
        for (int y = 0; y < image.height(); ++y)
            for (int x = 0; x < image.width(); ++x)
                norms += image.pixelColor(x, y) == Theme::of(mode).color(Meaning::Compute) ? 1 : 0;
        EXPECT_GT(norms, 1000);
    }
}

TEST(NormsView, SaysWhatWouldFillIt) {
    SessionModel session;
    SelectionModel selection;
    NormsView view(session, selection);
    view.refresh();
    EXPECT_EQ(toldSentence(view), "No run to show");
    EXPECT_EQ(view.table()->rowCount(), 0);
}

}  // namespace
}  // namespace expertscope
