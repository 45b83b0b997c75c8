// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <functional>
#include <optional>
#include <utility>

#include "views/base/chart.h"
#include "views/base/matrix_map.h"
#include "views/base/selection.h"

namespace expertscope {

class HeatPlot;

/// A matrix as a heat map of a page, with its colour bar, linked with the shared selection: hovering and clicking a
/// cell tell what it stands for, and what others select is outlined.
class MatrixChart : public Chart {
    Q_OBJECT
public:
    struct Source {
        std::function<const MatrixMap&()> matrix;
        std::function<QString(MatrixMap::Cell)> describe;
        /// What a cell stands for in the shared selection.
        std::function<Selection(MatrixMap::Cell)> subject;
        /// Row and column that a selection marks.
        std::function<std::pair<std::optional<int>, std::optional<int>>(const Selection&)> marked;
        std::function<QString()> caption;          ///< of the colour bar
        std::function<QString(double)> scaleText;  ///< of its numbers
        /// Draws the strips beside the map, where it has some; may be empty.
        std::function<void(HeatPlot&, const Theme&)> drawBeside = {};
    };
    MatrixChart(SelectionModel& selection, Source source, QWidget* parent = nullptr);

    HeatPlot* heat() const { return m_heat; }
    void setTheme(const Theme& theme) override;
    /// Fits the axes to the matrix and draws it at the next replot.
    void draw();
    /// Draws the outlines anew, now.
    void drawMarks();

Q_SIGNALS:
    void clicked();

private:
    void drawMap();
    void markMap();
    std::optional<MatrixMap::Cell> cellAt(const QMouseEvent* event) const;
    void hover(QMouseEvent* event);
    void choose(QMouseEvent* event);

    SelectionModel& m_selection;
    Source m_source;
    HeatPlot* m_heat;
    const Theme* m_theme;
};

}  // namespace expertscope
