// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QString>
#include <QWidget>

#include <qcustomplot.h>

class QLabel;

namespace expertscope {

class DrawListPlottable;
class EmptyState;
class LegendStrip;
class Theme;

/// One plot of a page: heading, plot, what its marks mean, and a sentence in its place where there is nothing to draw.
/// The plot is an ordinary one with one draw list, or whatever is handed in (a HeatPlot), which is taken over.
class Chart : public QWidget {
    Q_OBJECT
public:
    explicit Chart(const QString& heading, QWidget* parent = nullptr, QCustomPlot* plot = nullptr);

    void setHeading(const QString& heading);
    QString heading() const;
    /// What is measured, in one sentence: shown on hover.
    void setDefinition(const QString& definition);
    QCustomPlot* plot() const { return m_plot; }
    DrawListPlottable* marks() const { return m_marks; }  ///< null where the plot was handed in
    LegendStrip* legend() const { return m_legend; }
    /// Shows the sentence instead of the plot; an empty one shows the plot again.
    void setMissing(const QString& sentence, const QString& hint = {});
    bool isMissing() const;
    QString missing() const;
    virtual void setTheme(const Theme& theme);

private:
    QLabel* m_heading;
    QCustomPlot* m_plot;
    DrawListPlottable* m_marks = nullptr;
    LegendStrip* m_legend;
    EmptyState* m_empty;
};

}  // namespace expertscope
