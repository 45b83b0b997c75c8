// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QString>
#include <functional>
#include <optional>

#include <qcustomplot.h>

namespace expertscope {

class Theme;

/// The bar beside a heat map: its colours, their numbers, what is measured, what a pixel stands for, and a mark at the
/// value under the cursor. An element of the plot's layout, so that it is exported with it; on a layer of its own, so
/// that moving the mark does not redraw the map.
class ColorScale : public QCPLayoutElement {
    Q_OBJECT
public:
    enum class Map { Sequential, Signed };

    explicit ColorScale(QCustomPlot* plot);

    /// Values at the two ends of the bar; `low` < `high`.
    void setRange(double low, double high) { m_low = low, m_high = high; }
    double low() const { return m_low; }
    double high() const { return m_high; }
    void setMap(Map map) { m_map = map; }
    /// What is measured, with its unit ("selections"), and what an aggregated pixel is ("max of 16 tokens"; may be
    /// empty).
    void setCaption(const QString& measure, const QString& aggregate = {});
    /// How the bar's numbers are written; numberText() where not set.
    void setFormat(std::function<QString(double)> format) { m_format = std::move(format); }
    /// A bar that is not shown takes no room: maps side by side may share one.
    void setShown(bool shown);
    void setTheme(const Theme& theme) { m_theme = &theme; }
    /// Marks a value (of the cell under the cursor) and repaints this bar alone; nothing removes the mark.
    void setMarked(std::optional<double> value);
    /// Colour of a value on this bar; NaN has the theme's colour of no data.
    QRgb color(double value) const;

    QSize minimumOuterSizeHint() const override;
    QSize maximumOuterSizeHint() const override;

protected:
    void draw(QCPPainter* painter) override;
    QCP::Interaction selectionCategory() const override { return QCP::iSelectOther; }

private:
    QString text(double value) const;
    QRectF bar() const;
    double pixelOf(double value) const;
    void drawMark(QCPPainter* painter) const;

    const Theme* m_theme;
    Map m_map = Map::Sequential;
    double m_low = 0, m_high = 1;
    QString m_measure, m_aggregate;
    std::function<QString(double)> m_format;
    std::optional<double> m_marked;
    bool m_shown = true;
};

}  // namespace expertscope
