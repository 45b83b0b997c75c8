// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/tokens/token_legend.h"

#include <QPainter>
#include <algorithm>

#include "views/base/colour_science.h"
#include "views/base/plot_style.h"

namespace expertscope {

TokenLegend::TokenLegend(QWidget* parent) : QWidget(parent) {
    setFont(plotFont());
    setFixedHeight(QFontMetrics(font()).height() + 8);
}

void TokenLegend::setEntries(const QString& title, std::vector<Entry> entries, const QColor& text) {
    m_title = title;
    m_entries = std::move(entries);
    m_text = text;
    update();
}

void TokenLegend::paintEvent(QPaintEvent*) {
    QPainter painter(this);
    const QFontMetrics metrics(font());
    const int box = metrics.height() + 4;
    const auto centered = static_cast<int>(Qt::AlignVCenter | Qt::AlignLeft);
    int x = 2;
    painter.setPen(m_text);
    painter.drawText(QRect(x, 0, width(), height()), centered, m_title);
    x += metrics.horizontalAdvance(m_title) + 10;
    for (const Entry& entry : m_entries) {
        const int boxWidth = std::max(box, metrics.horizontalAdvance(entry.inside) + 8);
        const int textWidth = metrics.horizontalAdvance(entry.beside);
        if (x + boxWidth + textWidth + 4 > width()) return;
        const QRect frame(x, (height() - box) / 2, boxWidth, box);
        painter.fillRect(frame, entry.color);
        painter.setPen(readableOn(entry.color));
        painter.drawText(frame, static_cast<int>(Qt::AlignCenter), entry.inside);
        painter.setPen(m_text);
        painter.drawText(QRect(x + boxWidth + 4, 0, textWidth + 2, height()), centered, entry.beside);
        x += boxWidth + textWidth + 16;
    }
}

}  // namespace expertscope
