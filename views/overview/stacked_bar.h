// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QColor>
#include <QWidget>
#include <vector>

#include "views/base/draw_list.h"

class QCustomPlot;
class QLabel;

namespace expertscope {

class DrawListPlottable;
class LegendStrip;
class Theme;

/// One part of a whole.
struct BarPart {
    QString name;   ///< "● hits"
    QString value;  ///< "1,234"
    double amount = 0;
    QColor color;
    Pattern pattern = Pattern::Solid;
    bool operator==(const BarPart&) const = default;
};

/// Boxes side by side as long as their shares, from 0 to 1 on the key axis; parts of nothing are left out.
DrawList stackedBarList(const std::vector<BarPart>& parts, const Theme& theme);

/// A whole and its parts: a heading with the total, a stacked bar, and each part's value and share below.
class StackedBar : public QWidget {
    Q_OBJECT
public:
    StackedBar(const QString& heading, const QString& explanation, QWidget* parent = nullptr);
    void setTheme(const Theme& theme);
    /// `total` is shown right of the heading; `nothing` instead of the bar where the parts sum to nothing.
    void setParts(const QString& total, const std::vector<BarPart>& parts, const QString& nothing);

private:
    QLabel* m_heading;
    QLabel* m_total;
    QLabel* m_nothing;
    QCustomPlot* m_plot;
    DrawListPlottable* m_bar;
    LegendStrip* m_legend;
    const Theme* m_theme;
    std::vector<BarPart> m_parts;
};

}  // namespace expertscope
