// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/base/chart.h"

#include <QLabel>
#include <QVBoxLayout>

#include "views/base/draw_list_plottable.h"
#include "views/base/empty_state.h"
#include "views/base/heat_plot.h"
#include "views/base/legend_strip.h"
#include "views/base/plot_style.h"
#include "views/base/theme.h"

namespace expertscope {

Chart::Chart(const QString& heading, QWidget* parent, QCustomPlot* plot)
    : QWidget(parent), m_heading(new QLabel(heading, this)), m_plot(plot ? plot : new QCustomPlot(this)) {
    QFont bold = plotFont();
    bold.setBold(true);
    m_heading->setFont(bold);
    m_heading->setWordWrap(true);  // a long one is not to make the page wide
    m_plot->setMinimumSize(220, 110);
    m_plot->setAccessibleName(heading);
    if (!plot) m_marks = new DrawListPlottable(m_plot->xAxis, m_plot->yAxis);
    m_legend = new LegendStrip(this);
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->setSpacing(2);
    layout->addWidget(m_heading);
    layout->addWidget(m_plot, 1);
    layout->addWidget(m_legend);
    m_empty = new EmptyState(m_plot);
}

void Chart::setHeading(const QString& heading) {
    m_heading->setText(heading);
    m_plot->setAccessibleName(heading);
}

QString Chart::heading() const { return m_heading->text(); }

void Chart::setDefinition(const QString& definition) { m_heading->setToolTip(definition); }

void Chart::setMissing(const QString& sentence, const QString& hint) {
    m_legend->setVisible(sentence.isEmpty());
    if (sentence.isEmpty())
        m_empty->hide();
    else
        m_empty->tell(sentence, hint);
}

bool Chart::isMissing() const { return !m_empty->isHidden(); }
QString Chart::missing() const { return isMissing() ? m_empty->sentence() : QString(); }

void Chart::setTheme(const Theme& theme) {
    if (auto* heat = qobject_cast<HeatPlot*>(m_plot))
        heat->setTheme(theme);
    else
        applyTheme(*m_plot, theme);
    m_legend->setTheme(theme);
    m_empty->setTheme(theme);
}

}  // namespace expertscope
