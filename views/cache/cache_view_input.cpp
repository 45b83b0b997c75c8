// SPDX-License-Identifier: GPL-3.0-or-later
// Mouse and keys of the cache view.

#include <QKeyEvent>
#include <QMouseEvent>
#include <QToolTip>
#include <algorithm>
#include <cmath>

#include "views/base/heat_plot.h"
#include "views/cache/cache_view.h"

namespace expertscope {
namespace {

constexpr int kDragDistance = 4;    // pixels that make a click a drag
constexpr double kFewestSteps = 8;  // visible at the closest zoom

}  // namespace

void CacheView::connectResidency() {
    HeatPlot* const plot = m_residencyPlot;
    plot->setMouseTracking(true);
    connect(plot, &QCustomPlot::mousePress, this, [this, plot](QMouseEvent* event) {
        setFocus(Qt::MouseFocusReason);
        if (event->button() == Qt::LeftButton && plot->inMap(event->position())) m_pressedAt = event->position();
    });
    connect(plot, &QCustomPlot::mouseMove, this, &CacheView::hoverResidency);
    connect(plot, &QCustomPlot::mouseRelease, this, &CacheView::releaseResidency);
    connect(plot, &QCustomPlot::mouseWheel, this, [this, plot](QWheelEvent* event) {
        const double notches = event->angleDelta().y() / 120.0;
        if (event->modifiers() & Qt::ControlModifier)
            zoom(std::pow(0.8, notches), plot->toPlot(event->position()).x());
        else
            pan(-0.1 * notches);
    });
    connect(plot, &QCustomPlot::mouseDoubleClick, this, [this] { zoom(1e9, 0); });
}

void CacheView::hoverResidency(QMouseEvent* event) {
    const ResidencyMap& map = m_model.residency();
    const auto cell = m_residencyPlot->inMap(event->position()) ? map.cellAt(m_residencyPlot->toPlot(event->position()))
                                                                : std::nullopt;
    if (m_pressedAt && std::abs(event->position().x() - m_pressedAt->x()) > kDragDistance && map.columns() > 0) {
        const double a = m_residencyPlot->toPlot(*m_pressedAt).x(), b = m_residencyPlot->toPlot(event->position()).x();
        const auto step = [&](double x) {
            return StepIndex(std::clamp(static_cast<int>(std::floor(x)), 0, map.columns() - 1));
        };
        m_brush = map.tokensOf(step(std::min(a, b)), step(std::max(a, b)));
        drawMarks();
        return;
    }
    m_residencyPlot->scale()->setMarked(cell && !map.layer() ? std::optional(map.value(*cell)) : std::nullopt);
    if (!cell) {
        m_selection.hover({});
        QToolTip::hideText();
        return;
    }
    Selection hovered = map.subject(*cell);
    hovered.tokens = map.tokensOf(cell->step, cell->step);
    m_selection.hover(hovered);
    QToolTip::showText(event->globalPosition().toPoint(), map.describe(*cell), m_residencyPlot);
}

void CacheView::releaseResidency(QMouseEvent* event) {
    if (event->button() != Qt::LeftButton || !m_pressedAt) return;
    m_pressedAt.reset();
    Selection next = m_selection.current();
    if (m_brush) {
        next.tokens = m_brush;
        m_brush.reset();
    } else {
        const auto cell = m_model.residency().cellAt(m_residencyPlot->toPlot(event->position()));
        if (!cell) return;
        const Selection subject = m_model.residency().subject(*cell);
        next.layer = subject.layer;
        if (subject.expert) next.expert = subject.expert;
    }
    m_selection.set(next);
}

void CacheView::zoom(double factor, double around) {
    const double end = std::max(1, m_model.residency().columns());
    const QCPRange range = m_residencyPlot->xAxis->range();
    const double width = std::clamp(range.size() * factor, std::min(kFewestSteps, end), end);
    const double lower = std::clamp(around - (around - range.lower) * width / range.size(), 0.0, end - width);
    m_residencyPlot->xAxis->setRange(lower, lower + width);
    m_residencyPlot->replot();
}

void CacheView::pan(double share) {
    const double end = std::max(1, m_model.residency().columns());
    const QCPRange range = m_residencyPlot->xAxis->range();
    const double lower = std::clamp(range.lower + share * range.size(), 0.0, std::max(0.0, end - range.size()));
    m_residencyPlot->xAxis->setRange(lower, lower + range.size());
    m_residencyPlot->replot();
}

void CacheView::keyPressEvent(QKeyEvent* event) {
    if (!m_model.run()) return View::keyPressEvent(event);
    const double middle = m_residencyPlot->xAxis->range().center();
    const int last = m_model.run()->model().layers - 1;
    const auto layer = m_model.layer();
    switch (event->key()) {
        case Qt::Key_Up:  // above the first layer are all of them
            return chooseLayer(layer && layer->value() > 0 ? std::optional(LayerIndex(layer->value() - 1))
                                                           : std::nullopt);
        case Qt::Key_Down:
            return chooseLayer(LayerIndex(layer ? std::min(layer->value() + 1, last) : 0));
        case Qt::Key_W:
            return zoom(0.8, middle);
        case Qt::Key_S:
            return zoom(1.25, middle);
        case Qt::Key_A:
            return pan(-0.2);
        case Qt::Key_D:
            return pan(0.2);
        default:
            View::keyPressEvent(event);
    }
}

}  // namespace expertscope
