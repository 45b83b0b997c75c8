// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/links/links_view.h"

#include <QImage>
#include <QTest>

#include <gtest/gtest.h>

#include "told_sentence.h"
#include "view_window.h"
#include "views/base/chart.h"
#include "views/base/session_model.h"
#include "views/base/theme.h"

namespace expertscope {
namespace {

struct Window : ViewWindow<LinksView> {
    Window() : ViewWindow({SimulatedRun{}}) {}
};

TEST(LinksView, CountsEverythingBeforeItIsExported) {
    Window window;
    window.view->refresh();
    ASSERT_TRUE(window.view->model().links());
    ASSERT_TRUE(window.view->model().information());
    EXPECT_FALSE(window.view->counting());
    for (const Chart* chart : {&window.view->togetherChart(), &window.view->nextChart(), &window.view->likenessChart(),
                               &window.view->informationChart()})
        EXPECT_FALSE(chart->isMissing()) << chart->missing().toStdString();
    // Two matrices of 32 × 32, 28 pairs of layers, 7 steps from layer to layer.
    EXPECT_EQ(window.view->table()->rowCount(), 2 * 1024 + 28 + 7);
}

TEST(LinksView, FillsInWhileItIsShownAndFollowsTheSharedLayer) {
    Window window;
    window.view->show();
    ASSERT_TRUE(QTest::qWaitFor([&] { return window.view->model().information() != nullptr; }, 20000));
    EXPECT_EQ(window.view->model().links()->layer, 0);
    QTest::keyClick(window.view.get(), Qt::Key_Down);
    EXPECT_EQ(window.selection.current().layer, LayerIndex(1));
    EXPECT_TRUE(QTest::qWaitFor([&] { return window.view->model().links()->layer == 1; }, 20000));
    EXPECT_TRUE(window.view->togetherChart().heading().contains("layer 1"));
    QTest::keyClick(window.view.get(), Qt::Key_Right);
    EXPECT_EQ(window.selection.current().expert, ExpertId(0));
}

TEST(LinksView, TheLastLayerLeadsNowhere) {
    Window window;
    window.view->setLayer(7);
    window.view->refresh();
    EXPECT_EQ(window.view->model().links()->layer, 7);
    EXPECT_EQ(window.view->nextChart().missing(), "Layer 7 is the last");
    EXPECT_FALSE(window.view->togetherChart().isMissing());
}

TEST(LinksView, CountsOtherTransitionsWhenAsked) {
    Window window;
    window.view->refresh();
    const auto first = window.view->model().links()->next->total;
    window.view->setPairs(TransitionPairs::All);
    window.view->refresh();
    // Four choices and four successors a token; prompts of the simulated run name an expert once a step only.
    EXPECT_GT(window.view->model().links()->next->total, 4 * first);
    EXPECT_EQ(window.view->model().information()->pairs, TransitionPairs::All);
}

TEST(LinksView, ExportsBothThemes) {
    Window window;
    for (const Theme::Mode mode : {Theme::Mode::Light, Theme::Mode::Dark}) {
        window.view->setTheme(Theme::of(mode));
        window.view->setMeasure(mode == Theme::Mode::Dark ? LinksModel::Measure::Lift : LinksModel::Measure::Share);
        const QString file = window.file.picture(mode == Theme::Mode::Dark ? "links_dark.png" : "links_light.png");
        window.view->exportTo(file, QSize(1400, 800));
        const QImage image(file);
        ASSERT_EQ(image.size(), QSize(1400, 800));
        int bars = 0, background = 0;
        for (int y = 0; y < image.height(); ++y) {
            for (int x = 0; x < image.width(); ++x) {
                bars += image.pixelColor(x, y) == Theme::of(mode).color(Meaning::Compute) ? 1 : 0;
                background += image.pixelColor(x, y) == Theme::of(mode).background() ? 1 : 0;
            }
        }
        EXPECT_GT(bars, 1000);
        EXPECT_LT(background, image.width() * image.height() / 2) << "the matrices are filled";
    }
}

TEST(LinksView, SaysWhatWouldFillIt) {
    SessionModel session;
    SelectionModel selection;
    LinksView view(session, selection);
    view.refresh();
    EXPECT_EQ(toldSentence(view), "No run to show");
    EXPECT_EQ(view.table()->rowCount(), 0);
}

}  // namespace
}  // namespace expertscope
