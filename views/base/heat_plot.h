// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <functional>
#include <vector>

#include <qcustomplot.h>

#include "views/base/color_scale.h"
#include "views/base/draw_list_plottable.h"

namespace expertscope {

class Theme;

/// A plot with one map whose cells are unit boxes, counted from the top left, its colour bar, and strips beside it that
/// share the map's rows. Outlines lie on a layer of their own: moving them repaints no map. Asks for its pictures
/// whenever it is laid out, so that they fit its size on screen as in an export.
class HeatPlot : public QCustomPlot {
    Q_OBJECT
public:
    explicit HeatPlot(QWidget* parent = nullptr);

    struct Strip {
        QCPAxisRect* rect = nullptr;
        DrawListPlottable* bars = nullptr;
        QString caption;
    };
    /// Adds a strip to the right of the map, before the first layout.
    int addStrip(const QString& caption);
    const Strip& strip(int index) const { return m_strips[static_cast<std::size_t>(index)]; }
    /// The strip's axis runs from 0 to `end` and further by `room`, where numbers stand.
    void setStripEnd(int index, double end, double room);

    void setTheme(const Theme& theme);
    void setAxisLabels(const QString& x, const QString& y);
    /// Rows and columns are labelled with their numbers from `first` on; 0 at first. Those that have a name bear that.
    void setCells(int first, const QStringList& names = {});
    /// Shows columns [0, columns) and rows [0, rows).
    void showAll(double columns, double rows);

    DrawListPlottable* map() const { return m_map; }
    DrawListPlottable* marks() const { return m_marks; }
    ColorScale* scale() const { return m_scale; }
    /// Visible range and pixels of the map, of a strip.
    Viewport viewport() const;
    Viewport stripViewport(int index) const;
    QPointF toPlot(const QPointF& pixel) const;
    bool inMap(const QPointF& pixel) const;
    /// The row of a strip under a pixel, or -1.
    int stripRowAt(const QPointF& pixel) const;
    void repaintMarks() { marks()->layer()->replot(); }

    /// Called before each drawing, when the layout is known.
    std::function<void()> beforeDraw;

private:
    QCPAxisRect* m_rect;
    DrawListPlottable* m_map;
    DrawListPlottable* m_marks;
    ColorScale* m_scale;
    std::vector<Strip> m_strips;
    bool m_drawing = false;
};

}  // namespace expertscope
