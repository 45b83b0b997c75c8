// SPDX-License-Identifier: GPL-3.0-or-later
// How the timeline is moved, measured and selected in, by keys and mouse.
#include <QKeyEvent>
#include <QLabel>
#include <QScrollBar>
#include <QToolTip>
#include <algorithm>
#include <cmath>
#include <limits>

#include <qcustomplot.h>

#include "views/timeline/timeline_view.h"

namespace expertscope {
namespace {

constexpr double kZoomStep = 1.5;
constexpr double kPanShare = 0.15;
constexpr double kShortestRange = 50;  // ns: below it there is nothing to see
constexpr int kDragPixels = 4;         // less is a click
constexpr double kNowhere = std::numeric_limits<double>::quiet_NaN();

}  // namespace

void TimelineView::zoomTo(TimeStretch stretch) {
    m_follow = Follow::No;
    const auto width = static_cast<double>(std::max<std::int64_t>(stretch.to - stretch.from, 1));
    move(static_cast<double>(stretch.from) - width * 0.1, width * 1.2);
}

void TimelineView::move(double from, double width) {
    const TimeStretch all = m_model.extent();
    const auto whole = static_cast<double>(all.to - all.from);
    width = std::clamp(width, kShortestRange, std::max(kShortestRange, whole * 4));
    // Something of the run stays in sight.
    const double low =
        std::clamp(from, static_cast<double>(all.from) - width * 0.9, static_cast<double>(all.to) - width * 0.1);
    m_plot->xAxis->setRange(low, low + width);
    m_plot->replot(QCustomPlot::rpQueuedReplot);
}

void TimelineView::zoom(double factor) {
    if (m_model.empty()) return;
    m_follow = Follow::No;
    const QCPRange range = m_plot->xAxis->range();
    const double anchor = range.contains(m_cursor) ? m_cursor : range.center();
    const double width = std::max(range.size() / factor, kShortestRange);
    move(anchor - (anchor - range.lower) * width / range.size(), width);
}

void TimelineView::pan(double share) {
    if (m_model.empty()) return;
    m_follow = Follow::No;
    const QCPRange range = m_plot->xAxis->range();
    move(range.lower + share * range.size(), range.size());
}

void TimelineView::zoomIn() { zoom(kZoomStep); }
void TimelineView::zoomOut() { zoom(1 / kZoomStep); }
void TimelineView::panLeft() { pan(-kPanShare); }
void TimelineView::panRight() { pan(kPanShare); }

void TimelineView::showAll() {
    m_follow = Follow::All;
    followData();
    m_plot->replot(QCustomPlot::rpQueuedReplot);
}

void TimelineView::followEnd() {
    m_follow = Follow::End;
    followData();
    m_plot->replot(QCustomPlot::rpQueuedReplot);
}

void TimelineView::focusSelection() {
    if (m_model.empty()) return;
    std::optional<TimeStretch> target = m_clicked;
    if (!target) target = m_model.stretchOf(m_selection.current());
    const TimeStretch before = visible();
    if (target) zoomTo(*target);
    if (!target || visible() == before) showAll();
}

void TimelineView::addMark() {
    if (m_model.empty()) return;
    const QCPRange range = m_plot->xAxis->range();
    m_marks.push_back(std::llround(range.contains(m_cursor) ? m_cursor : range.center()));
    replotMarks();
}

void TimelineView::keyPressEvent(QKeyEvent* event) {
    if (event->modifiers() & (Qt::ControlModifier | Qt::AltModifier | Qt::MetaModifier)) {
        event->ignore();
        return;
    }
    switch (event->key()) {
        case Qt::Key_W:
            zoomIn();
            break;
        case Qt::Key_S:
            zoomOut();
            break;
        case Qt::Key_A:
        case Qt::Key_Left:
            panLeft();
            break;
        case Qt::Key_D:
        case Qt::Key_Right:
            panRight();
            break;
        case Qt::Key_F:
            focusSelection();
            break;
        case Qt::Key_M:
            addMark();
            break;
        case Qt::Key_End:
            followEnd();
            break;
        case Qt::Key_Up:
            m_scroll->triggerAction(QScrollBar::SliderSingleStepSub);
            break;
        case Qt::Key_Down:
            m_scroll->triggerAction(QScrollBar::SliderSingleStepAdd);
            break;
        case Qt::Key_Escape:
            if (m_measured) {
                dismissMeasure();
            } else {
                event->ignore();  // the window drops the newest chip
            }
            break;
        default:
            View::keyPressEvent(event);
    }
}

/// Esc drops the newest chip in the whole window: while something is measured, it drops that first.
bool TimelineView::event(QEvent* event) {
    if (event->type() == QEvent::ShortcutOverride && m_measured &&
        static_cast<QKeyEvent*>(event)->key() == Qt::Key_Escape) {
        event->accept();
        return true;
    }
    return View::event(event);
}

void TimelineView::leaveEvent(QEvent* event) {
    m_cursor = kNowhere;
    m_selection.hover({});
    View::leaveEvent(event);
}

double TimelineView::timeAt(double x) const { return m_plot->xAxis->pixelToCoord(x); }

std::optional<TimelineHit> TimelineView::hitAt(const QPoint& pos) const {
    if (!m_plot->axisRect()->rect().contains(pos)) return std::nullopt;
    const double pixel = m_plot->xAxis->range().size() / std::max(1, m_plot->axisRect()->width());
    return m_model.hitAt(QPointF(timeAt(pos.x()), m_plot->yAxis->pixelToCoord(pos.y())), pixel);
}

void TimelineView::pressed(QMouseEvent* event) {
    if (event->button() != Qt::LeftButton) return;
    setFocus(Qt::MouseFocusReason);
    m_press = event->pos();
    m_dragging = false;
}

void TimelineView::moved(QMouseEvent* event) {
    m_cursor = timeAt(event->pos().x());
    if (!m_press || !(event->buttons() & Qt::LeftButton)) {
        hover(event->pos(), event->globalPosition().toPoint());
        return;
    }
    m_dragging = m_dragging || std::abs(event->pos().x() - m_press->x()) >= kDragPixels;
    if (!m_dragging) return;
    const double a = timeAt(m_press->x());
    m_measured = TimeStretch{std::llround(std::min(a, m_cursor)), std::llround(std::max(a, m_cursor))};
    updateFooter();
    replotMarks();
}

void TimelineView::released(QMouseEvent* event) {
    if (event->button() != Qt::LeftButton || !m_press) return;
    const QPoint press = *m_press;
    m_press.reset();
    if (!m_dragging) {
        click(press);
        return;
    }
    m_dragging = false;
    if ((event->modifiers() & Qt::ShiftModifier) && m_measured && m_model.rows()) {
        Selection next = m_selection.current();
        next.time = TimeRange{m_model.rows()->absolute(m_measured->from), m_model.rows()->absolute(m_measured->to)};
        m_measured.reset();
        updateFooter();
        m_selection.set(next);
    }
}

void TimelineView::click(const QPoint& pos) {
    const auto hit = hitAt(pos);
    if (!hit) return;
    m_clicked = m_model.stretchOf(*hit);
    const Selection of = m_model.selectionOf(*hit);
    Selection next = m_selection.current();
    if (of.layer) next.layer = of.layer, next.expert = of.expert;
    if (of.tokens) next.tokens = of.tokens;
    m_selection.set(next);
}

void TimelineView::doubleClicked(QMouseEvent* event) {
    if (event->button() != Qt::LeftButton) return;
    m_press.reset();
    if (const auto hit = hitAt(event->pos())) {
        m_clicked = m_model.stretchOf(*hit);
        zoomTo(*m_clicked);
    }
}

void TimelineView::wheeled(QWheelEvent* event) {
    const double notches = event->angleDelta().y() / 120.0;
    if (event->modifiers() & Qt::ControlModifier) {
        zoom(std::pow(kZoomStep, notches));
    } else if (event->angleDelta().x() != 0) {
        pan(-event->angleDelta().x() / 120.0 * kPanShare);
    } else {
        m_scroll->setValue(m_scroll->value() - static_cast<int>(notches * 2 * TimelineModel::kRowPitch));
    }
    event->accept();
}

void TimelineView::hover(const QPoint& pos, const QPoint& global) {
    const auto hit = hitAt(pos);
    if (hit) {
        Selection under = m_model.selectionOf(*hit);
        under.tokens.reset();
        m_selection.hover(under);
        QToolTip::showText(global + QPoint(12, 12), m_model.describe(*hit).join(QChar('\n')), m_plot);
        return;
    }
    m_selection.hover({});
    const auto row =
        static_cast<std::size_t>(std::max(0.0, m_plot->yAxis->pixelToCoord(pos.y()) / TimelineModel::kRowPitch));
    const bool onTitle = pos.x() < plotMargins().left() && m_model.rows() && row < m_model.rows()->rows().size();
    if (onTitle) {
        const TimelineRow& titled = *m_model.rows()->rows()[row];
        QToolTip::showText(global + QPoint(12, 12), titled.title + QChar('\n') + titled.explanation, m_plot);
    } else {
        QToolTip::hideText();
    }
}

}  // namespace expertscope
