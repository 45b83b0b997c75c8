// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QPointF>
#include <QString>
#include <functional>
#include <optional>
#include <vector>

#include "views/base/draw_list.h"

namespace expertscope {

class Theme;

/// A matrix as a map of unit cells: row r, column c is the box at x = c, y = r, row 0 on top (a reversed axis). NaN is
/// "no data".
struct MatrixMap {
    int rows = 0, columns = 0;
    std::vector<double> values;           ///< [rows, columns]
    double low = 0, high = 1;             ///< the ends of the colour bar; values beyond have its ends' colours
    bool isSigned = false;                ///< coloured from its middle on
    std::function<QString(double)> text;  ///< of a cell, short

    double at(int row, int column) const {
        return values[static_cast<std::size_t>(row) * static_cast<std::size_t>(columns) +
                      static_cast<std::size_t>(column)];
    }
    struct Cell {
        int row = 0, column = 0;
        bool operator==(const Cell&) const = default;
    };
    std::optional<Cell> cellAt(const QPointF& at) const;
    struct Group {
        int rows = 1, columns = 1;
    };
    /// Rows and columns that share a pixel; of them the value farthest from the bar's low end (from its middle) is
    /// shown.
    Group perPixel(const Viewport& viewport) const;
    DrawList map(const Viewport& viewport, const Theme& theme) const;
};

/// Outlines a row, a column, or the cell where both cross.
void markMatrix(DrawList& list, const MatrixMap& matrix, std::optional<int> row, std::optional<int> column,
                const Viewport& viewport, const QColor& color);

}  // namespace expertscope
