// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/tokens/token_text_area.h"

#include <QMouseEvent>
#include <QPainter>
#include <QScrollBar>
#include <algorithm>
#include <cmath>

#include "views/base/plot_style.h"
#include "views/base/theme.h"

namespace expertscope {

void paintPixels(QPainter& painter, const DrawList& list) {
    for (const DrawRect& item : list.rects) {
        if (item.pattern == Pattern::Outline) {
            painter.setPen(item.color);
            painter.setBrush(Qt::NoBrush);
            painter.drawRect(item.rect.adjusted(0.5, 0.5, -0.5, -0.5));
        } else {
            painter.fillRect(item.rect, item.color);
        }
    }
    for (const DrawLine& item : list.lines) {
        painter.setPen(QPen(item.color, 1, item.dashed ? Qt::DashLine : Qt::SolidLine));
        painter.drawLine(item.from, item.to);
    }
    const QFontMetricsF metrics(painter.font());
    for (const DrawText& item : list.texts) {
        painter.setPen(item.color);
        painter.drawText(QPointF(item.at.x(), item.at.y() - metrics.height() / 2 + metrics.ascent()), item.text);
    }
}

TokenTextArea::TokenTextArea(TokenTextModel& model, QWidget* parent)
    : QAbstractScrollArea(parent), m_model(model), m_theme(&Theme::light()) {
    setFrameShape(QFrame::NoFrame);
    setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
    // Always there: a bar that comes and goes would change the width and break the lines anew.
    setVerticalScrollBarPolicy(Qt::ScrollBarAlwaysOn);
    viewport()->setMouseTracking(true);
    QFont font = plotFont();
    font.setPointSizeF(font.pointSizeF() + 1.5);
    viewport()->setFont(font);
}

void TokenTextArea::setTheme(const Theme& theme) {
    m_theme = &theme;
    viewport()->update();
}

TextMetrics TokenTextArea::metrics() const {
    const QFontMetricsF font(viewport()->font());
    return {[font](const QString& text) { return font.horizontalAdvance(text) + 1; }, std::ceil(font.height()) + 4};
}

void TokenTextArea::layOutAgain() {
    QScrollBar* bar = verticalScrollBar();
    const bool atEnd = bar->maximum() > 0 && bar->value() == bar->maximum();
    m_model.layOut(trace(), viewport()->width(), metrics());
    bar->setPageStep(viewport()->height());
    bar->setSingleStep(static_cast<int>(metrics().lineHeight));
    bar->setRange(0, std::max(0, static_cast<int>(std::ceil(m_model.height())) - viewport()->height()));
    if (atEnd) bar->setValue(bar->maximum());
    viewport()->update();
}

void TokenTextArea::scrollTo(TokenIndex token) {
    const QRectF box = m_model.boxOf(token);
    const int top = verticalScrollBar()->value();
    const bool visible = box.top() >= top && box.bottom() <= top + viewport()->height();
    if (box.isEmpty() || visible) return;
    verticalScrollBar()->setValue(static_cast<int>(box.center().y()) - viewport()->height() / 2);
}

QPointF TokenTextArea::toText(const QPointF& pixel) const { return pixel + QPointF(0, verticalScrollBar()->value()); }

void TokenTextArea::paintEvent(QPaintEvent*) {
    QPainter painter(viewport());
    painter.fillRect(viewport()->rect(), m_theme->background());
    const double top = verticalScrollBar()->value();
    painter.translate(0, -top);
    Selection hover = hovered();
    if (m_brush) hover.tokens = m_brush;
    paintPixels(painter, m_model.draw(trace(), *m_theme, top, top + viewport()->height(), selected(), hover));
}

void TokenTextArea::resizeEvent(QResizeEvent* event) {
    QAbstractScrollArea::resizeEvent(event);
    layOutAgain();
}

void TokenTextArea::mousePressEvent(QMouseEvent* event) {
    if (event->button() == Qt::LeftButton) m_pressed = m_model.tokenAt(toText(event->position()), true);
}

void TokenTextArea::mouseMoveEvent(QMouseEvent* event) {
    if (m_pressed && (event->buttons() & Qt::LeftButton)) {
        const auto token = m_model.tokenAt(toText(event->position()), true);
        if (!token) return;
        const auto [from, to] = std::minmax(*m_pressed, *token);
        m_brush = TokenRange{from, TokenIndex{to.value() + 1}};
        viewport()->update();
        return;
    }
    emit hoveredToken(m_model.tokenAt(toText(event->position())), event->globalPosition().toPoint());
}

void TokenTextArea::mouseReleaseEvent(QMouseEvent* event) {
    if (event->button() != Qt::LeftButton || !m_pressed) return;
    const TokenRange range = m_brush.value_or(TokenRange{*m_pressed, TokenIndex{m_pressed->value() + 1}});
    m_pressed.reset();
    m_brush.reset();
    emit selectedTokens(range);
}

void TokenTextArea::leaveEvent(QEvent* event) {
    QAbstractScrollArea::leaveEvent(event);
    emit hoveredToken({}, {});
}

}  // namespace expertscope
