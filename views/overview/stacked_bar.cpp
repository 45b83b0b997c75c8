// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/overview/stacked_bar.h"

#include <QHBoxLayout>
#include <QLabel>
#include <QVBoxLayout>

#include <qcustomplot.h>

#include "views/base/draw_list_plottable.h"
#include "views/base/legend_strip.h"
#include "views/base/number_format.h"
#include "views/base/plot_style.h"
#include "views/base/theme.h"
#include "views/overview/card.h"

namespace expertscope {
namespace {

constexpr int kBarHeight = 24;

double sum(const std::vector<BarPart>& parts) {
    double whole = 0;
    for (const BarPart& part : parts)
        whole += part.amount;
    return whole;
}

}  // namespace

DrawList stackedBarList(const std::vector<BarPart>& parts, const Theme& theme) {
    DrawList list;
    const double whole = sum(parts);
    double from = 0;
    for (const BarPart& part : parts) {
        if (part.amount <= 0) continue;
        const double width = part.amount / whole;
        list.rects.push_back({QRectF(from, 0, width, 1), part.color, part.pattern, percentText(width), -1});
        from += width;
        if (from < 1) list.lines.push_back({{from, 0}, {from, 1}, theme.background()});
    }
    return list;
}

StackedBar::StackedBar(const QString& heading, const QString& explanation, QWidget* parent)
    : QWidget(parent),
      m_heading(new QLabel(heading, this)),
      m_total(new QLabel(this)),
      m_nothing(new WrappedLabel(this)),
      m_plot(new QCustomPlot(this)),
      m_bar(nullptr),
      m_legend(new LegendStrip(this)),
      m_theme(&Theme::light()) {
    setToolTip(explanation);
    m_plot->setFixedHeight(kBarHeight);
    m_plot->setMinimumWidth(60);
    m_plot->setAttribute(Qt::WA_TransparentForMouseEvents);
    m_plot->plotLayout()->setMargins(QMargins());
    m_plot->axisRect()->setAutoMargins(QCP::msNone);
    m_plot->axisRect()->setMargins(QMargins());
    m_plot->axisRect()->setMinimumSize(1, 1);
    for (QCPAxis* axis : m_plot->axisRect()->axes())
        axis->setVisible(false);
    m_plot->xAxis->grid()->setVisible(false);
    m_plot->yAxis->grid()->setVisible(false);
    m_plot->xAxis->setRange(0, 1);
    m_plot->yAxis->setRange(0, 1);
    m_bar = new DrawListPlottable(m_plot->xAxis, m_plot->yAxis);
    m_bar->setEliding(false);
    m_total->setAlignment(Qt::AlignRight | Qt::AlignVCenter);

    auto* top = new QHBoxLayout;
    top->addWidget(m_heading);
    top->addStretch();
    top->addWidget(m_total);
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(0, 2, 0, 6);
    layout->setSpacing(3);
    layout->addLayout(top);
    layout->addWidget(m_plot);
    layout->addWidget(m_nothing);
    layout->addWidget(m_legend);
}

void StackedBar::setTheme(const Theme& theme) {
    m_theme = &theme;
    applyTheme(*m_plot, theme);
    m_legend->setTheme(theme);
    QPalette muted = palette();
    muted.setColor(QPalette::WindowText, theme.mutedText());
    m_total->setPalette(muted);
    m_nothing->setPalette(muted);
    m_plot->replot(QCustomPlot::rpQueuedReplot);
}

void StackedBar::setParts(const QString& total, const std::vector<BarPart>& parts, const QString& nothing) {
    const double whole = sum(parts);
    if (const QString shown = whole > 0 ? total : QString(); shown != m_total->text()) m_total->setText(shown);
    if (parts == m_parts && m_nothing->text() == nothing) return;
    m_parts = parts;
    m_nothing->setText(nothing);
    m_nothing->setVisible(whole <= 0);
    m_plot->setVisible(whole > 0);
    m_legend->setVisible(whole > 0);
    std::vector<LegendEntry> entries;
    for (const BarPart& part : parts)
        entries.push_back({part.name + QChar(' ') + part.value, part.color, part.pattern});
    m_legend->setEntries(std::move(entries));
    m_bar->setDrawList(whole > 0 ? stackedBarList(parts, *m_theme) : DrawList());
    m_plot->replot(QCustomPlot::rpQueuedReplot);
}

}  // namespace expertscope
