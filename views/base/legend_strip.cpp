// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/base/legend_strip.h"

#include <QPainter>

#include "views/base/plot_style.h"
#include "views/base/theme.h"

namespace expertscope {
namespace {

constexpr int kSwatch = 12;
constexpr int kGap = 5;       // swatch to word
constexpr int kBetween = 16;  // entry to entry
constexpr int kMargin = 8;

}  // namespace

LegendStrip::LegendStrip(QWidget* parent) : QWidget(parent), m_theme(&Theme::light()) {
    setFont(plotFont());
    QSizePolicy policy(QSizePolicy::Preferred, QSizePolicy::Preferred);
    policy.setHeightForWidth(true);
    setSizePolicy(policy);
}

void LegendStrip::setEntries(std::vector<LegendEntry> entries) {
    if (entries == m_entries) return;
    const int before = heightForWidth(width());
    m_entries = std::move(entries);
    // Numbers that change in a live run must not lay the whole page out anew.
    if (heightForWidth(width()) != before) updateGeometry();
    update();
}

void LegendStrip::setTheme(const Theme& theme) {
    m_theme = &theme;
    update();
}

std::vector<QRect> LegendStrip::placed(int width) const {
    const QFontMetrics metrics(font());
    const int height = metrics.height() + 4;
    std::vector<QRect> boxes;
    int x = kMargin, y = 2;
    for (const LegendEntry& entry : m_entries) {
        const int needed = kSwatch + kGap + metrics.horizontalAdvance(entry.text);
        if (x > kMargin && x + needed > width - kMargin) x = kMargin, y += height;
        boxes.emplace_back(x, y, needed, height);
        x += needed + kBetween;
    }
    return boxes;
}

int LegendStrip::heightForWidth(int width) const {
    const std::vector<QRect> boxes = placed(width);
    return boxes.empty() ? 0 : boxes.back().bottom() + 3;
}

QSize LegendStrip::sizeHint() const {
    const std::vector<QRect> boxes = placed(1 << 20);
    return boxes.empty() ? QSize(0, 0) : QSize(boxes.back().right() + kMargin, boxes.back().bottom() + 3);
}

QSize LegendStrip::minimumSizeHint() const { return {120, QFontMetrics(font()).height() + 7}; }

void LegendStrip::paintEvent(QPaintEvent*) {
    QPainter painter(this);
    painter.setFont(font());
    const std::vector<QRect> boxes = placed(width());
    for (std::size_t i = 0; i < boxes.size(); ++i) {
        const QRect& box = boxes[i];
        paintSwatch(painter, QRectF(box.left(), box.center().y() - kSwatch / 2.0, kSwatch, kSwatch), m_entries[i].color,
                    m_entries[i].pattern);
        painter.setPen(m_theme->text());
        painter.drawText(box.adjusted(kSwatch + kGap, 0, 4, 0), static_cast<int>(Qt::AlignLeft | Qt::AlignVCenter),
                         m_entries[i].text);
    }
}

void paintSwatch(QPainter& painter, const QRectF& box, const QColor& color, Pattern pattern) {
    painter.save();
    QPen pen(color, 1);
    painter.setPen(pattern == Pattern::Solid ? QPen(Qt::NoPen) : pen);
    painter.setBrush(pattern == Pattern::Solid ? QBrush(color) : QBrush(Qt::NoBrush));
    painter.drawRect(box.adjusted(0.5, 0.5, -0.5, -0.5));
    if (pattern == Pattern::DiagonalHatch || pattern == Pattern::CrossHatch) {
        painter.setClipRect(box);
        for (double c = -box.height(); c < box.width(); c += 4) {
            painter.drawLine(QLineF(box.left() + c, box.bottom(), box.left() + c + box.height(), box.top()));
            if (pattern == Pattern::CrossHatch) {
                painter.drawLine(QLineF(box.left() + c, box.top(), box.left() + c + box.height(), box.bottom()));
            }
        }
    }
    painter.restore();
}

}  // namespace expertscope
