// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/base/matrix_map.h"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "views/base/theme.h"

namespace expertscope {
namespace {

MatrixMap made(int rows, int columns, bool isSigned = false) {
    MatrixMap matrix;
    matrix.rows = rows;
    matrix.columns = columns;
    matrix.low = isSigned ? -10 : 0;
    matrix.high = 10;
    matrix.isSigned = isSigned;
    for (int i = 0; i < rows * columns; ++i)
        matrix.values.push_back(i);
    return matrix;
}

Viewport whole(const MatrixMap& matrix, const QSize& pixels) {
    return {QRectF(0, 0, matrix.columns, matrix.rows), pixels};
}

TEST(MatrixMap, ColoursEachCellByItsValue) {
    MatrixMap matrix = made(2, 3);
    matrix.values[4] = std::numeric_limits<double>::quiet_NaN();
    const DrawList list = matrix.map(whole(matrix, QSize(300, 200)), Theme::dark());
    ASSERT_EQ(list.images.size(), 1U);
    const QImage& image = list.images[0].image;
    ASSERT_EQ(image.size(), QSize(3, 2));
    EXPECT_EQ(image.pixel(2, 0), Theme::dark().sequential(0.2));
    EXPECT_EQ(image.pixel(0, 1), Theme::dark().sequential(0.3));
    EXPECT_EQ(image.pixel(1, 1), Theme::dark().noData().rgb());
    const MatrixMap changes = made(1, 2, true);
    EXPECT_EQ(changes.map(whole(changes, QSize(300, 200)), Theme::dark()).images[0].image.pixel(0, 0),
              Theme::dark().signedMap(0));
}

TEST(MatrixMap, ShowsTheFarthestOfCellsThatShareAPixel) {
    MatrixMap matrix = made(4, 4, true);
    matrix.values[5] = -9;  // in the first quarter, whose others are at most 4
    const DrawList list = matrix.map(whole(matrix, QSize(2, 2)), Theme::light());
    ASSERT_EQ(list.images[0].image.size(), QSize(2, 2));
    EXPECT_EQ(list.images[0].image.pixel(0, 0), Theme::light().signedMap(-0.9));
}

TEST(MatrixMap, KeepsRowsApartWhereColumnsAloneShareAPixel) {
    const MatrixMap wide = made(2, 4);
    const DrawList list = wide.map(whole(wide, QSize(2, 100)), Theme::light());
    ASSERT_EQ(list.images[0].image.size(), QSize(2, 2));
    EXPECT_EQ(list.images[0].rect, QRectF(0, 0, 4, 2));
    EXPECT_EQ(list.images[0].image.pixel(0, 0), Theme::light().sequential(0.1));
    EXPECT_EQ(list.images[0].image.pixel(1, 1), Theme::light().sequential(0.7));
}

TEST(MatrixMap, WritesNumbersInAllCellsOrInNone) {
    MatrixMap matrix = made(2, 2);
    matrix.text = [](double value) { return QString::number(value); };
    EXPECT_EQ(matrix.map(whole(matrix, QSize(200, 100)), Theme::light()).texts.size(), 4U);
    matrix.values[3] = 123456789;
    EXPECT_TRUE(matrix.map(whole(matrix, QSize(60, 100)), Theme::light()).texts.empty());
    EXPECT_TRUE(matrix.map(whole(matrix, QSize(200, 12)), Theme::light()).texts.empty());
}

TEST(MatrixMap, FindsTheCellUnderAPoint) {
    const MatrixMap matrix = made(2, 3);
    EXPECT_EQ(matrix.cellAt({2.5, 0.5}), (MatrixMap::Cell{0, 2}));
    EXPECT_FALSE(matrix.cellAt({3.1, 0.5}));
    EXPECT_FALSE(matrix.cellAt({-0.1, 0.5}));
}

}  // namespace
}  // namespace expertscope
