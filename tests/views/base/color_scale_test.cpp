// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/base/color_scale.h"

#include <cmath>

#include <gtest/gtest.h>

#include "views/base/theme.h"

namespace expertscope {
namespace {

TEST(ColorScale, GivesValuesTheColoursOfItsMap) {
    QCustomPlot plot;
    auto* scale = new ColorScale(&plot);
    plot.plotLayout()->addElement(0, 1, scale);
    scale->setTheme(Theme::light());
    scale->setRange(10, 20);
    EXPECT_EQ(scale->color(10), Theme::light().sequential(0));
    EXPECT_EQ(scale->color(15), Theme::light().sequential(0.5));
    EXPECT_EQ(scale->color(99), Theme::light().sequential(1));
    EXPECT_EQ(scale->color(std::nan("")), Theme::light().noData().rgb());
    scale->setMap(ColorScale::Map::Signed);
    scale->setRange(-2, 2);
    EXPECT_EQ(scale->color(0), Theme::light().signedMap(0));
    EXPECT_EQ(scale->color(-2), Theme::light().signedMap(-1));
}

TEST(ColorScale, MarksTheValueUnderTheCursor) {
    QCustomPlot plot;
    plot.resize(300, 200);
    auto* scale = new ColorScale(&plot);
    plot.plotLayout()->addElement(0, 1, scale);
    scale->setRange(0, 1);
    scale->setCaption("share", "max of 16 tokens");
    const QImage plain = plot.toPixmap(300, 200, 1.0).toImage();
    scale->setMarked(0.5);
    const QImage marked = plot.toPixmap(300, 200, 1.0).toImage();
    scale->setMarked(std::nullopt);
    EXPECT_NE(plain, marked);
    EXPECT_EQ(plain, plot.toPixmap(300, 200, 1.0).toImage());
}

TEST(ColorScale, LeavesTheMapItsRoom) {
    QCustomPlot plot;
    plot.resize(400, 200);
    auto* scale = new ColorScale(&plot);
    plot.plotLayout()->addElement(0, 1, scale);
    plot.toPixmap(400, 200, 1.0);
    EXPECT_GT(plot.axisRect()->width(), 220);
    EXPECT_LE(scale->outerRect().right(), 400);
}

}  // namespace
}  // namespace expertscope
