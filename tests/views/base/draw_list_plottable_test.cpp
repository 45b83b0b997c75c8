// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/base/draw_list_plottable.h"

#include <gtest/gtest.h>

namespace expertscope {
namespace {

/// A plot without margins whose axes run 0…100 over 100 × 100 pixels, value axis downwards.
class DrawListPlottableTest : public testing::Test {
protected:
    DrawListPlottableTest() {
        plot.resize(100, 100);
        plot.setBackground(QBrush(Qt::white));
        plot.plotLayout()->setMargins(QMargins());
        plot.axisRect()->setAutoMargins(QCP::msNone);
        plot.axisRect()->setMargins(QMargins());
        for (QCPAxis* axis : plot.axisRect()->axes())
            axis->setVisible(false);
        plot.xAxis->setRange(0, 100);
        plot.yAxis->setRange(0, 100);
        plot.yAxis->setRangeReversed(true);
        items = new DrawListPlottable(plot.xAxis, plot.yAxis);
    }
    QImage paint(DrawList list) {
        items->setDrawList(std::move(list));
        return plot.toPixmap(100, 100, 1.0).toImage();
    }
    QCustomPlot plot;
    DrawListPlottable* items;
};

TEST_F(DrawListPlottableTest, FillsBoxesWhereTheAxesPutThem) {
    DrawList list;
    list.rects.push_back({QRectF(10, 20, 30, 40), Qt::red, Pattern::Solid, {}, 7});
    const QImage image = paint(list);
    EXPECT_EQ(image.pixelColor(25, 40), QColor(Qt::red));
    EXPECT_EQ(image.pixelColor(5, 40), QColor(Qt::white));
    EXPECT_EQ(image.pixelColor(25, 70), QColor(Qt::white));
}

TEST_F(DrawListPlottableTest, FindsTheTopmostBoxUnderThePixel) {
    DrawList list;
    list.rects.push_back({QRectF(0, 0, 50, 50), Qt::red, Pattern::Solid, {}, 1});
    list.rects.push_back({QRectF(20, 20, 10, 10), Qt::blue, Pattern::Solid, {}, 2});
    list.rects.push_back({QRectF(0, 0, 50, 50), Qt::black, Pattern::Outline, {}, 3});
    paint(list);
    EXPECT_EQ(items->tagAt(QPointF(25, 25)), 2);
    EXPECT_EQ(items->tagAt(QPointF(5, 5)), 1);
    EXPECT_EQ(items->tagAt(QPointF(80, 80)), -1);
}

TEST_F(DrawListPlottableTest, KeepsABoxNarrowerThanAPixelVisible) {
    DrawList list;
    list.rects.push_back({QRectF(50.1, 0, 0.2, 100), Qt::red});
    const QImage image = paint(list);
    int red = 0;
    for (int x = 0; x < 100; ++x)
        red += image.pixelColor(x, 50) == QColor(Qt::red);
    EXPECT_EQ(red, 1);
}

TEST_F(DrawListPlottableTest, HatchesDifferFromSolidAndStayInside) {
    DrawList list;
    list.rects.push_back({QRectF(20, 20, 60, 60), Qt::black, Pattern::DiagonalHatch});
    const QImage image = paint(list);
    int dark = 0, pale = 0;
    for (int y = 0; y < 100; ++y) {
        for (int x = 0; x < 100; ++x) {
            const QColor c = image.pixelColor(x, y);
            if (x < 19 || y < 19 || x > 81 || y > 81) {
                ASSERT_EQ(c, QColor(Qt::white)) << x << ',' << y;
            } else {
                dark += c.lightness() < 60;
                pale += c.lightness() > 120 && c.lightness() < 250;
            }
        }
    }
    EXPECT_GT(dark, 300);
    EXPECT_GT(pale, 1500);
}

TEST_F(DrawListPlottableTest, PaintsImagesUnsmoothedAndTheRightWayUp) {
    QImage cells(2, 2, QImage::Format_RGB32);
    cells.setPixel(0, 0, qRgb(255, 0, 0));
    cells.setPixel(1, 0, qRgb(0, 255, 0));
    cells.setPixel(0, 1, qRgb(0, 0, 255));
    cells.setPixel(1, 1, qRgb(9, 9, 9));
    DrawList list;
    list.images.push_back({QRectF(0, 0, 100, 100), cells});
    QImage image = paint(list);
    EXPECT_EQ(image.pixel(45, 45), qRgb(255, 0, 0));
    EXPECT_EQ(image.pixel(55, 45), qRgb(0, 255, 0));
    EXPECT_EQ(image.pixel(45, 55), qRgb(0, 0, 255));
    plot.yAxis->setRangeReversed(false);  // row 0 stays at the rect's top, now at the bottom of the screen
    image = paint(list);
    EXPECT_EQ(image.pixel(45, 55), qRgb(255, 0, 0));
}

TEST_F(DrawListPlottableTest, LeavesOutALabelThatDoesNotFit) {
    DrawList wide, narrow;
    wide.rects.push_back({QRectF(0, 0, 100, 100), Qt::red, Pattern::Solid, "L5 E17"});
    narrow.rects.push_back({QRectF(0, 0, 6, 100), Qt::red, Pattern::Solid, "L5 E17"});
    const auto colours = [](const QImage& image, int width) {
        QSet<QRgb> found;
        for (int y = 1; y < 99; ++y) {
            for (int x = 1; x < width - 1; ++x)
                found.insert(image.pixel(x, y));
        }
        return found.size();
    };
    EXPECT_GT(colours(paint(wide), 100), 1);
    EXPECT_EQ(colours(paint(narrow), 6), 1);
}

TEST_F(DrawListPlottableTest, ReportsTheExtentOfWhatItPaints) {
    DrawList list;
    list.rects.push_back({QRectF(10, 20, 30, 40), Qt::red});
    list.rects.push_back({QRectF(50, 5, 10, 5), Qt::red});
    items->setDrawList(list);
    bool found = false;
    EXPECT_EQ(items->getKeyRange(found), QCPRange(10, 60));
    EXPECT_TRUE(found);
    EXPECT_EQ(items->getValueRange(found), QCPRange(5, 60));
}

}  // namespace
}  // namespace expertscope
