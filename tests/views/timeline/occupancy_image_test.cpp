// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/timeline/occupancy_image.h"

#include <vector>

#include <gtest/gtest.h>

namespace expertscope {
namespace {

double filled(const QImage& image, int column) {
    double alpha = 0;
    for (int y = 0; y < image.height(); ++y)
        alpha += qAlpha(image.pixel(column, y)) / 255.0;
    return alpha / image.height();
}

TEST(OccupancyImage, IsFilledAsFarAsTheColumnIsBusy) {
    OccupancyImage image(101, 22, {qRgb(255, 0, 0), qRgb(0, 0, 255)});
    for (int i = 0; i <= 100; ++i)
        image.setColumn(i, std::vector<std::int64_t>{i / 2, i - i / 2}, 100);
    for (int i = 0; i <= 100; ++i)
        EXPECT_NEAR(filled(image.image(), i), i / 100.0, 0.003) << i;
}

TEST(OccupancyImage, StacksColoursFromTheBottom) {
    OccupancyImage image(1, 20, {qRgb(255, 0, 0), qRgb(0, 0, 255)});
    image.setColumn(0, std::vector<std::int64_t>{50, 25}, 100);
    EXPECT_EQ(image.image().pixel(0, 19), qRgb(255, 0, 0));
    EXPECT_EQ(image.image().pixel(0, 10), qRgb(255, 0, 0));
    EXPECT_EQ(image.image().pixel(0, 9), qRgb(0, 0, 255));
    EXPECT_EQ(qAlpha(image.image().pixel(0, 4)), 0);
}

TEST(OccupancyImage, IsNeverFullerThanFull) {
    OccupancyImage image(1, 10, {qRgb(255, 0, 0), qRgb(0, 0, 255)});
    image.setColumn(0, std::vector<std::int64_t>{90, 90}, 100);
    EXPECT_DOUBLE_EQ(filled(image.image(), 0), 1);
}

}  // namespace
}  // namespace expertscope
