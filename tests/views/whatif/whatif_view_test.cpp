// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/whatif/whatif_view.h"

#include <QImage>
#include <QSlider>
#include <QTest>

#include <gtest/gtest.h>

#include "view_window.h"
#include "views/base/selection.h"
#include "views/base/session_model.h"
#include "views/base/theme.h"

namespace expertscope {
namespace {

struct Window : ViewWindow<WhatIfView> {
    Window() : ViewWindow({{.policy = "on-demand", .prefetch = false}}) {}
};

TEST(WhatIfView, ReplaysWhatIsTickedBeforeItIsExported) {
    Window window;
    window.view->refresh();
    ASSERT_TRUE(window.view->model().hasRun());
    EXPECT_TRUE(window.view->model().open().empty());
    EXPECT_TRUE(window.view->model().hasBounds());
    EXPECT_EQ(window.view->table()->rowCount(),
              static_cast<int>(WhatIfModel::grid().size() * window.view->model().series().size()));
}

TEST(WhatIfView, FillsInWhileItIsShown) {
    Window window;
    window.view->show();
    EXPECT_TRUE(
        QTest::qWaitFor([&] { return window.view->model().hasRun() && window.view->model().open().empty(); }, 20000));
}

TEST(WhatIfView, AnswersForTheSlidersBudgetAndLink) {
    Window window;
    window.view->refresh();
    const auto sliders = window.view->findChildren<QSlider*>();
    ASSERT_EQ(sliders.size(), 2);
    sliders[0]->setValue(700);
    EXPECT_NEAR(window.view->model().budget(), 0.7, 1e-9);
    EXPECT_TRUE(window.view->model().answer().startsWith("At 70"));
    sliders[1]->setValue(80);
    ASSERT_TRUE(window.view->model().link());
    EXPECT_GT(window.view->model().link()->bytesPerSecond, 1e8);
    EXPECT_LT(window.view->model().link()->bytesPerSecond, 1e10);
    sliders[1]->setValue(0);
    EXPECT_FALSE(window.view->model().link());
}

TEST(WhatIfView, ExportsBothThemes) {
    Window window;
    for (const Theme::Mode mode : {Theme::Mode::Light, Theme::Mode::Dark}) {
        window.view->setTheme(Theme::of(mode));
        const QString file = window.file.picture(mode == Theme::Mode::Dark ? "whatif_dark.png" : "whatif_light.png");
        window.view->exportTo(file, QSize(1400, 800));
        const QImage image(file);
        ASSERT_EQ(image.size(), QSize(1400, 800));
        int curve = 0;
        for (int y = 0; y < image.height(); ++y)
            for (int x = 0; x < image.width(); ++x)
                curve += image.pixelColor(x, y) == Theme::of(mode).color(Meaning::RunA) ? 1 : 0;
        EXPECT_GT(curve, 200);
    }
}

TEST(WhatIfView, SaysWhatWouldFillIt) {
    SessionModel session;
    SelectionModel selection;
    WhatIfView view(session, selection);
    view.refresh();
    EXPECT_FALSE(view.model().hasRun());
    EXPECT_EQ(view.table()->rowCount(), 0);
}

}  // namespace
}  // namespace expertscope
