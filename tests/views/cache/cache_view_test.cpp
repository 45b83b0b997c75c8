// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/cache/cache_view.h"

#include <QImage>
#include <QTest>

#include <gtest/gtest.h>

#include "told_sentence.h"
#include "view_window.h"
#include "views/base/chart.h"
#include "views/base/heat_plot.h"
#include "views/base/session_model.h"
#include "views/base/theme.h"

namespace expertscope {
namespace {

struct Window : ViewWindow<CacheView> {
    explicit Window(RunState state = RunState::Complete)
        : ViewWindow({{.policy = "on-demand", .prefetch = false, .state = state}}) {}
};

TEST(CacheView, CountsEverythingBeforeItIsExported) {
    Window window;
    window.view->refresh();
    ASSERT_TRUE(window.view->model().run());
    ASSERT_TRUE(window.view->model().reuse());
    EXPECT_FALSE(window.view->counting());
    EXPECT_FALSE(window.view->reuseChart().isMissing());
    EXPECT_FALSE(window.view->overlapChart().isMissing());
    EXPECT_FALSE(window.view->hitChart().isMissing());
    EXPECT_EQ(window.view->residencyChart().missing(), "This run recorded no residency");
    EXPECT_EQ(window.view->table()->rowCount(), window.view->model().rowCount());
    EXPECT_GT(window.view->table()->rowCount(), 200);
}

TEST(CacheView, FillsInWhileItIsShown) {
    Window window;
    window.view->show();
    EXPECT_TRUE(QTest::qWaitFor([&] { return window.view->model().reuse() != nullptr; }, 20000));
}

TEST(CacheView, FollowsTheSharedSelectionsLayer) {
    Window window;
    window.view->refresh();
    const QString all = window.view->reuseChart().heading();
    window.view->setLayer(3);
    ASSERT_TRUE(window.selection.current().layer);
    EXPECT_EQ(window.selection.current().layer->value(), 3);
    EXPECT_TRUE(window.view->reuseChart().heading().contains("layer 3"));
    window.selection.clear();
    EXPECT_EQ(window.view->reuseChart().heading(), all);
    QTest::keyClick(window.view.get(), Qt::Key_Down);
    EXPECT_EQ(window.selection.current().layer, LayerIndex(0));
}

TEST(CacheView, CountsGeneratedTokensAloneWhenAsked) {
    Window window;
    window.view->refresh();
    const QString all = window.view->model().counted();
    window.view->setCounted(CountedTokens::Generated);
    window.view->refresh();
    EXPECT_EQ(window.view->model().reuse()->tokens, CountedTokens::Generated);
    EXPECT_NE(window.view->model().counted(), all);
    EXPECT_TRUE(window.view->overlapChart().heading().contains("generated"));
}

TEST(CacheView, ExportsBothThemes) {
    Window window;
    for (const Theme::Mode mode : {Theme::Mode::Light, Theme::Mode::Dark}) {
        window.view->setTheme(Theme::of(mode));
        const QString file = window.file.picture(mode == Theme::Mode::Dark ? "cache_dark.png" : "cache_light.png");
        window.view->exportTo(file, QSize(1400, 800));
        const QImage image(file);
        ASSERT_EQ(image.size(), QSize(1400, 800));
        int bars = 0, curve = 0;
        for (int y = 0; y < image.height(); ++y) {
            for (int x = 0; x < image.width(); ++x) {
                bars += image.pixelColor(x, y) == Theme::of(mode).color(Meaning::Compute) ? 1 : 0;
                curve += image.pixelColor(x, y) == Theme::of(mode).color(Meaning::RunB) ? 1 : 0;
            }
        }
        EXPECT_GT(bars, 5000);
        EXPECT_GT(curve, 200);
    }
}

TEST(CacheView, WaitsForTheRunsEnd) {
    Window window(RunState::Running);
    window.view->refresh();
    EXPECT_FALSE(window.view->model().run());
    EXPECT_EQ(window.view->table()->rowCount(), 0);
}

TEST(CacheView, SaysWhatWouldFillIt) {
    SessionModel session;
    SelectionModel selection;
    CacheView view(session, selection);
    view.refresh();
    EXPECT_FALSE(view.model().run());
    EXPECT_EQ(toldSentence(view), "No run to show");
}

}  // namespace
}  // namespace expertscope
