// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/base/matrix_map.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "views/base/colour_science.h"
#include "views/base/draw_marks.h"
#include "views/base/theme.h"

namespace expertscope {
namespace {

constexpr double kLabelHeight = 13;  // pixels a row needs for a number

}  // namespace

std::optional<MatrixMap::Cell> MatrixMap::cellAt(const QPointF& at) const {
    if (!(at.x() >= 0 && at.x() < columns && at.y() >= 0 && at.y() < rows)) return std::nullopt;
    return Cell{static_cast<int>(at.y()), static_cast<int>(at.x())};
}

MatrixMap::Group MatrixMap::perPixel(const Viewport& viewport) const {
    if (viewport.pixels.isEmpty()) return {};
    const auto whole = [](double cells, int pixels) {
        return std::max(1, static_cast<int>(std::ceil(cells / pixels)));
    };
    return {.rows = whole(viewport.range.height(), viewport.pixels.height()),
            .columns = whole(viewport.range.width(), viewport.pixels.width())};
}

DrawList MatrixMap::map(const Viewport& viewport, const Theme& theme) const {
    DrawList list;
    if (rows == 0 || columns == 0) return list;
    const Group group = perPixel(viewport);
    const double middle = isSigned ? (low + high) / 2 : low;
    QImage image((columns + group.columns - 1) / group.columns, (rows + group.rows - 1) / group.rows,
                 QImage::Format_RGB32);
    for (int y = 0; y < image.height(); ++y) {
        for (int x = 0; x < image.width(); ++x) {
            double shown = std::numeric_limits<double>::quiet_NaN();
            for (int row = y * group.rows; row < std::min(rows, (y + 1) * group.rows); ++row)
                for (int column = x * group.columns; column < std::min(columns, (x + 1) * group.columns); ++column)
                    if (const double value = at(row, column);
                        std::isnan(shown) || std::abs(value - middle) > std::abs(shown - middle))
                        shown = value;
            const double t = (shown - low) / (high - low);
            image.setPixel(x, y, isSigned ? theme.signedMap(2 * t - 1) : theme.sequential(t));
        }
    }
    list.images.push_back({QRectF(0, 0, image.width() * group.columns, image.height() * group.rows), image});
    if (group.rows > 1 || group.columns > 1 || !text || pixelsPerUnitY(viewport) < kLabelHeight) return list;
    // Numbers in all cells or in none: a map with holes reads as missing data.
    for (int row = 0; row < rows; ++row) {
        for (int column = 0; column < columns; ++column) {
            if (std::isnan(at(row, column))) continue;
            const QString shown = text(at(row, column));
            if (kDigitWidth * static_cast<double>(shown.size()) + 4 > pixelsPerUnitX(viewport)) {
                list.texts.clear();
                return list;
            }
            list.texts.push_back({{column + 0.5, row + 0.5},
                                  shown,
                                  readableOn(QColor(image.pixel(column, row))),
                                  Qt::AlignHCenter | Qt::AlignVCenter});
        }
    }
    return list;
}

void markMatrix(DrawList& list, const MatrixMap& matrix, std::optional<int> row, std::optional<int> column,
                const Viewport& viewport, const QColor& color) {
    const int y = row.value_or(-1), x = column.value_or(-1);
    const bool hasRow = y >= 0 && y < matrix.rows, hasColumn = x >= 0 && x < matrix.columns;
    if (!hasRow && !hasColumn) return;
    addOutline(list,
               QRectF(hasColumn ? x : 0, hasRow ? y : 0, hasColumn ? 1 : matrix.columns, hasRow ? 1 : matrix.rows),
               viewport, color);
}

}  // namespace expertscope
