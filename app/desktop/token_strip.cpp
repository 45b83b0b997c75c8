// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/desktop/token_strip.h"

#include <QKeyEvent>
#include <QMouseEvent>
#include <QToolTip>
#include <QVBoxLayout>
#include <algorithm>
#include <cmath>

#include <qcustomplot.h>

#include "views/base/draw_list_plottable.h"
#include "views/base/empty_state.h"
#include "views/base/number_format.h"
#include "views/base/plot_style.h"
#include "views/base/selection.h"
#include "views/base/session_model.h"

namespace expertscope {
namespace {

constexpr int kFrameMs = 50;  // updates that come faster are drawn together

QCPItemRect* rangeItem(QCustomPlot* plot) {
    auto* item = new QCPItemRect(plot);
    item->topLeft->setTypeY(QCPItemPosition::ptAxisRectRatio);
    item->bottomRight->setTypeY(QCPItemPosition::ptAxisRectRatio);
    item->setVisible(false);
    item->setSelectable(false);
    return item;
}

void place(QCPItemRect* item, const std::optional<TokenRange>& range) {
    item->setVisible(range.has_value());
    if (!range) return;
    item->topLeft->setCoords(range->from.value(), 0);
    item->bottomRight->setCoords(range->to.value(), 1);
}

}  // namespace

TokenStrip::TokenStrip(SessionModel& session, SelectionModel& selection, QWidget* parent)
    : QWidget(parent),
      m_session(session),
      m_selection(selection),
      m_theme(&Theme::light()),
      m_plot(new QCustomPlot(this)),
      m_empty(new EmptyState(m_plot)),
      m_bars(new DrawListPlottable(m_plot->xAxis, m_plot->yAxis)),
      m_brush(rangeItem(m_plot)),
      m_hover(rangeItem(m_plot)) {
    setObjectName("tokenStrip");
    setAccessibleName("Token strip: time of each token");
    setFocusPolicy(Qt::StrongFocus);
    setMinimumHeight(84);
    m_plot->setObjectName("tokenStripPlot");
    m_plot->yAxis->ticker()->setTickCount(3);
    m_plot->axisRect()->setMinimumMargins(QMargins(44, 4, 10, 0));
    m_plot->installEventFilter(this);
    m_plot->setMouseTracking(true);
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->addWidget(m_plot);

    m_pending.setSingleShot(true);
    m_pending.setInterval(kFrameMs);
    connect(&m_pending, &QTimer::timeout, this, &TokenStrip::refresh);
    connect(&session, &SessionModel::sessionChanged, this, &TokenStrip::startAnew);
    connect(&session, &SessionModel::currentRunChanged, this, &TokenStrip::startAnew);
    connect(&session, &SessionModel::dataGrown, this, [this] {
        if (!m_pending.isActive()) m_pending.start();
    });
    connect(&selection, &SelectionModel::changed, this, &TokenStrip::markSelection);
    connect(&selection, &SelectionModel::hoverChanged, this, &TokenStrip::markSelection);
    m_empty->tell("No tokens yet", "Each token of the run becomes a bar here.");
    setTheme(*m_theme);
}

void TokenStrip::setTheme(const Theme& theme) {
    m_theme = &theme;
    applyTheme(*m_plot, theme);
    m_empty->setTheme(theme);
    QColor fill = theme.highlight();
    fill.setAlpha(60);
    m_brush->setPen(QPen(theme.highlight(), 1.5));
    m_brush->setBrush(fill);
    m_hover->setPen(QPen(theme.hover(), 1));
    redraw();
}

void TokenStrip::startAnew() {
    m_model.clear();
    refresh();
}

void TokenStrip::refresh() {
    if (const RunTrace* trace = m_session.trace()) m_model.update(*trace);
    redraw();
}

void TokenStrip::redraw() {
    m_empty->setVisible(m_model.bars().empty());
    const double tokens = std::max<double>(1, static_cast<double>(m_model.bars().size()));
    m_plot->xAxis->setRange(0, tokens);
    m_plot->yAxis->setRange(0, m_model.height());
    const Viewport viewport{.range = QRectF(0, 0, tokens, m_model.height()), .pixels = m_plot->axisRect()->size()};
    m_bars->setDrawList(m_model.draw(viewport, *m_theme));
    markSelection();
}

void TokenStrip::markSelection() {
    place(m_brush, m_selection.current().tokens);
    place(m_hover, m_selection.hovered().tokens);
    m_plot->replot(QCustomPlot::rpQueuedReplot);
}

void TokenStrip::resizeEvent(QResizeEvent* event) {
    QWidget::resizeEvent(event);
    // The plot learns its new size after this event; the bars are aggregated to its pixels.
    m_pending.start();
}

int TokenStrip::tokenAt(const QPointF& pixel) const {
    const int last = static_cast<int>(m_model.bars().size()) - 1;
    return std::clamp(static_cast<int>(std::floor(m_plot->xAxis->pixelToCoord(pixel.x()))), 0, std::max(0, last));
}

void TokenStrip::select(int from, int last) {
    Selection next = m_selection.current();
    next.tokens = TokenRange{TokenIndex(std::min(from, last)), TokenIndex(std::max(from, last) + 1)};
    m_selection.set(next);
}

bool TokenStrip::eventFilter(QObject* watched, QEvent* event) {
    return watched == m_plot && !m_model.bars().empty() && plotMouse(event) ? true
                                                                            : QWidget::eventFilter(watched, event);
}

bool TokenStrip::plotMouse(QEvent* event) {
    if (event->type() == QEvent::Leave) {
        m_selection.hover({});
        return false;
    }
    if (event->type() != QEvent::MouseMove && event->type() != QEvent::MouseButtonPress &&
        event->type() != QEvent::MouseButtonRelease && event->type() != QEvent::MouseButtonDblClick) {
        return false;
    }
    auto* mouse = static_cast<QMouseEvent*>(event);
    const int token = tokenAt(mouse->position());
    if (event->type() == QEvent::MouseButtonDblClick) {
        m_dragFrom = -1;
        m_selection.remove(SelectionModel::Part::Tokens);
    } else if (event->type() == QEvent::MouseButtonPress && mouse->button() == Qt::LeftButton) {
        setFocus(Qt::MouseFocusReason);
        m_dragFrom = token;
    } else if (event->type() == QEvent::MouseMove) {
        Selection hovered;
        const int from = m_dragFrom >= 0 ? std::min(m_dragFrom, token) : token;
        hovered.tokens = TokenRange{TokenIndex(from), TokenIndex(std::max(m_dragFrom, token) + 1)};
        m_selection.hover(hovered);
        QToolTip::showText(mouse->globalPosition().toPoint(), m_model.describe(token), m_plot);
    } else if (event->type() == QEvent::MouseButtonRelease && m_dragFrom >= 0) {
        // Set once, at the end: every position of a drag would otherwise be a step of the undo stack.
        select(std::exchange(m_dragFrom, -1), token);
    }
    return true;
}

void TokenStrip::keyPressEvent(QKeyEvent* event) {
    const int step = event->key() == Qt::Key_Left ? -1 : event->key() == Qt::Key_Right ? 1 : 0;
    if (step == 0 || m_model.bars().empty()) return QWidget::keyPressEvent(event);
    const auto& range = m_selection.current().tokens;
    const int length = range ? range->to.value() - range->from.value() : 1;
    const int most = static_cast<int>(m_model.bars().size()) - length;
    const int from = std::clamp(range ? range->from.value() + step : 0, 0, std::max(0, most));
    select(from, from + length - 1);
}

}  // namespace expertscope
