// SPDX-License-Identifier: GPL-3.0-or-later
// Mouse and keys of the expert heat map.

#include <QKeyEvent>
#include <QMouseEvent>
#include <QToolTip>
#include <algorithm>
#include <cmath>

#include "profiler/analysis/run_trace.h"
#include "views/base/heat_plot.h"
#include "views/experts/experts_view.h"

namespace expertscope {

namespace {

constexpr int kDragDistance = 4;     // pixels that make a click a drag
constexpr double kFewestTokens = 8;  // visible at the closest zoom

}  // namespace

void ExpertsView::pressed(QMouseEvent* event) {
    setFocus(Qt::MouseFocusReason);
    if (event->button() == Qt::LeftButton && plot()->inMap(event->position())) m_pressedAt = event->position();
}

void ExpertsView::moved(QMouseEvent* event) {
    const bool dragging =
        m_pressedAt && mode() == Mode::Tokens && std::abs(event->position().x() - m_pressedAt->x()) > kDragDistance;
    if (dragging) {
        const double a = m_tokensPlot->toPlot(*m_pressedAt).x(), b = m_tokensPlot->toPlot(event->position()).x();
        const int last = std::max(0, m_tokens.tokens() - 1);
        const int from = std::clamp(static_cast<int>(std::floor(std::min(a, b))), 0, last);
        const int to = std::clamp(static_cast<int>(std::floor(std::max(a, b))), 0, last) + 1;
        m_brush = TokenRange{TokenIndex{from}, TokenIndex{to}};
        drawMarks();
        return;
    }
    if (mode() == Mode::Layers)
        hoverLayers(event->position(), event->globalPosition().toPoint());
    else
        hoverTokens(event->position(), event->globalPosition().toPoint());
}

void ExpertsView::released(QMouseEvent* event) {
    if (event->button() != Qt::LeftButton || !m_pressedAt) return;
    m_pressedAt.reset();
    Selection next = m_selection.current();
    if (m_brush) {
        next.tokens = m_brush;
        m_brush.reset();
    } else if (mode() == Mode::Layers) {
        const auto cell = m_map.cellAt(m_layersPlot->toPlot(event->position()));
        if (!cell) return;
        next.layer = cell->layer;
        next.expert = cell->expert;
    } else {
        const auto cell = m_tokens.cellAt(m_tokensPlot->toPlot(event->position()));
        if (!cell) return;
        next.layer = m_tokens.layer();
        next.expert = cell->expert;
        next.tokens = TokenRange{cell->token, TokenIndex{cell->token.value() + 1}};
    }
    m_selection.set(next);
}

void ExpertsView::hoverLayers(const QPointF& pixel, const QPoint& global) {
    const auto cell = m_layersPlot->inMap(pixel) ? m_map.cellAt(m_layersPlot->toPlot(pixel)) : std::nullopt;
    m_layersPlot->scale()->setMarked(cell ? std::optional(m_map.value(*cell)) : std::nullopt);
    if (cell) {
        m_selection.hover(Selection{{}, {}, cell->layer, cell->expert});
        QToolTip::showText(global, m_map.describe(*cell), m_layersPlot);
        return;
    }
    const int row = m_layersPlot->stripRowAt(pixel);
    if (row >= 0 && row < m_map.layers()) {
        m_selection.hover(Selection{{}, {}, LayerIndex{row}, {}});
        QToolTip::showText(global, m_map.describeLayer(LayerIndex{row}), m_layersPlot);
        return;
    }
    m_selection.hover({});
    QToolTip::hideText();
}

void ExpertsView::hoverTokens(const QPointF& pixel, const QPoint& global) {
    const auto cell = m_tokensPlot->inMap(pixel) ? m_tokens.cellAt(m_tokensPlot->toPlot(pixel)) : std::nullopt;
    if (!cell) {
        m_tokensPlot->scale()->setMarked({});
        m_selection.hover({});
        QToolTip::hideText();
        return;
    }
    m_tokensPlot->scale()->setMarked(m_tokens.weight(*cell, traceView()));
    m_selection.hover(
        Selection{{}, TokenRange{cell->token, TokenIndex{cell->token.value() + 1}}, m_tokens.layer(), cell->expert});
    QToolTip::showText(global, m_tokens.describe(*cell, traceView()), m_tokensPlot);
}

void ExpertsView::zoomTokens(double factor, double around) {
    const double end = m_tokens.axisEnd(running());
    QCPRange range = m_tokensPlot->xAxis->range();
    const double width = std::clamp(range.size() * factor, std::min(kFewestTokens, end), end);
    const double lower = std::clamp(around - (around - range.lower) * width / range.size(), 0.0, end - width);
    m_tokensFit = width >= end;
    m_tokensPlot->xAxis->setRange(lower, lower + width);
    m_tokensPlot->replot();
}

void ExpertsView::panTokens(double share) {
    const double end = m_tokens.axisEnd(running());
    const QCPRange range = m_tokensPlot->xAxis->range();
    const double lower = std::clamp(range.lower + share * range.size(), 0.0, std::max(0.0, end - range.size()));
    m_tokensPlot->xAxis->setRange(lower, lower + range.size());
    m_tokensPlot->replot();
}

void ExpertsView::moveSelectedCell(int dx, int dy) {
    if (m_map.layers() == 0 || m_map.experts() == 0) return;
    Selection next = m_selection.current();
    const auto step = [](int value, int by, int count) { return std::clamp(value + by, 0, count - 1); };
    const int expert = next.expert ? next.expert->value() : 0;
    if (mode() == Mode::Layers) {
        const bool fresh = !next.layer || !next.expert;
        const int layer = next.layer ? next.layer->value() : 0;
        next.layer = LayerIndex{fresh ? layer : step(layer, dy, m_map.layers())};
        next.expert = ExpertId{fresh ? expert : step(expert, dx, m_map.experts())};
    } else {
        if (m_tokens.tokens() == 0) return;
        const int token = next.tokens ? next.tokens->from.value() : 0;
        next.layer = m_tokens.layer();
        next.expert = ExpertId{step(expert, dy, m_tokens.experts())};
        const int moved = step(token, dx, m_tokens.tokens());
        next.tokens = TokenRange{TokenIndex{moved}, TokenIndex{moved + 1}};
    }
    m_selection.set(next);
}

void ExpertsView::keyPressEvent(QKeyEvent* event) {
    const double middle = m_tokensPlot->xAxis->range().center();
    const bool tokens = mode() == Mode::Tokens;
    switch (event->key()) {
        case Qt::Key_Left:
            moveSelectedCell(-1, 0);
            return;
        case Qt::Key_Right:
            moveSelectedCell(1, 0);
            return;
        case Qt::Key_Up:
            moveSelectedCell(0, -1);
            return;
        case Qt::Key_Down:
            moveSelectedCell(0, 1);
            return;
        case Qt::Key_W:
            if (tokens) return zoomTokens(0.8, middle);
            break;
        case Qt::Key_S:
            if (tokens) return zoomTokens(1.25, middle);
            break;
        case Qt::Key_A:
            if (tokens) return panTokens(-0.2);
            break;
        case Qt::Key_D:
            if (tokens) return panTokens(0.2);
            break;
        default:
            break;
    }
    View::keyPressEvent(event);
}

}  // namespace expertscope
