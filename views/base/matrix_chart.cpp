// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/base/matrix_chart.h"

#include <QMouseEvent>
#include <QToolTip>

#include "views/base/heat_plot.h"
#include "views/base/theme.h"

namespace expertscope {

MatrixChart::MatrixChart(SelectionModel& selection, Source source, QWidget* parent)
    : Chart(QString(), parent, new HeatPlot),
      m_selection(selection),
      m_source(std::move(source)),
      m_heat(static_cast<HeatPlot*>(plot())),
      m_theme(&Theme::light()) {
    m_heat->beforeDraw = [this] { drawMap(); };
    m_heat->setMouseTracking(true);
    connect(m_heat, &QCustomPlot::mouseMove, this, &MatrixChart::hover);
    connect(m_heat, &QCustomPlot::mouseRelease, this, &MatrixChart::choose);
}

void MatrixChart::setTheme(const Theme& theme) {
    m_theme = &theme;
    Chart::setTheme(theme);
}

void MatrixChart::draw() {
    m_heat->showAll(m_source.matrix().columns, m_source.matrix().rows);
    m_heat->replot(QCustomPlot::rpQueuedReplot);
}

void MatrixChart::drawMap() {
    const MatrixMap& matrix = m_source.matrix();
    const Viewport viewport = m_heat->viewport();
    const MatrixMap::Group group = matrix.perPixel(viewport);
    ColorScale& scale = *m_heat->scale();
    scale.setRange(matrix.low, matrix.high);
    scale.setMap(matrix.isSigned ? ColorScale::Map::Signed : ColorScale::Map::Sequential);
    scale.setCaption(m_source.caption(), group.rows * group.columns > 1
                                             ? tr("farthest of %1 × %2").arg(group.rows).arg(group.columns)
                                             : QString());
    scale.setFormat(m_source.scaleText);
    m_heat->map()->setDrawList(matrix.map(viewport, *m_theme));
    if (m_source.drawBeside) m_source.drawBeside(*m_heat, *m_theme);
    markMap();
}

void MatrixChart::markMap() {
    DrawList list;
    const Viewport viewport = m_heat->viewport();
    const auto mark = [&](const Selection& selection, const QColor& color) {
        const auto [row, column] = m_source.marked(selection);
        markMatrix(list, m_source.matrix(), row, column, viewport, color);
    };
    mark(m_selection.current(), m_theme->highlight());
    mark(m_selection.hovered(), m_theme->hover());
    m_heat->marks()->setDrawList(std::move(list));
}

void MatrixChart::drawMarks() {
    markMap();
    m_heat->repaintMarks();
}

std::optional<MatrixMap::Cell> MatrixChart::cellAt(const QMouseEvent* event) const {
    return m_heat->inMap(event->position()) ? m_source.matrix().cellAt(m_heat->toPlot(event->position()))
                                            : std::nullopt;
}

void MatrixChart::hover(QMouseEvent* event) {
    const auto cell = cellAt(event);
    m_heat->scale()->setMarked(cell ? std::optional(m_source.matrix().at(cell->row, cell->column)) : std::nullopt);
    m_selection.hover(cell ? m_source.subject(*cell) : Selection{});
    if (cell)
        QToolTip::showText(event->globalPosition().toPoint(), m_source.describe(*cell), m_heat);
    else
        QToolTip::hideText();
}

void MatrixChart::choose(QMouseEvent* event) {
    Q_EMIT clicked();
    const auto cell = cellAt(event);
    if (event->button() != Qt::LeftButton || !cell) return;
    const Selection subject = m_source.subject(*cell);
    Selection next = m_selection.current();
    if (subject.layer) next.layer = subject.layer;
    if (subject.expert) next.expert = subject.expert;
    m_selection.set(next);
}

}  // namespace expertscope
