// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/base/color_scale.h"

#include <algorithm>
#include <cmath>

#include "views/base/number_format.h"
#include "views/base/plot_style.h"
#include "views/base/theme.h"

namespace expertscope {
namespace {

constexpr int kBarWidth = 14;
constexpr int kWidth = 86;
constexpr int kCaptionWidth = 16;  // the captions stand upright right of the numbers
constexpr int kTicks = 5;

}  // namespace

ColorScale::ColorScale(QCustomPlot* plot) : QCPLayoutElement(plot), m_theme(&Theme::light()) {
    const QString name = QStringLiteral("colorScale%1").arg(plot->layerCount());
    plot->addLayer(name, nullptr, QCustomPlot::limAbove);
    setLayer(name);
    layer()->setMode(QCPLayer::lmBuffered);
    setMinimumMargins(QMargins(6, 8, 2, 8));
    setMargins(QMargins(6, 8, 2, 8));
}

void ColorScale::setCaption(const QString& measure, const QString& aggregate) {
    m_measure = measure;
    m_aggregate = aggregate;
}

void ColorScale::setMarked(std::optional<double> value) {
    if (value == m_marked) return;
    m_marked = value;
    layer()->replot();
}

QRgb ColorScale::color(double value) const {
    if (std::isnan(value)) return m_theme->noData().rgb();
    const double t = m_high > m_low ? (value - m_low) / (m_high - m_low) : 0;
    return m_map == Map::Signed ? m_theme->signedMap(2 * t - 1) : m_theme->sequential(t);
}

void ColorScale::setShown(bool shown) {
    m_shown = shown;
    setVisible(shown);
}

QSize ColorScale::minimumOuterSizeHint() const { return {m_shown ? kWidth : 0, 60}; }
QSize ColorScale::maximumOuterSizeHint() const { return {m_shown ? kWidth : 0, QWIDGETSIZE_MAX}; }

QString ColorScale::text(double value) const { return m_format ? m_format(value) : numberText(value); }

QRectF ColorScale::bar() const { return QRectF(mRect.left(), mRect.top(), kBarWidth, mRect.height()); }

double ColorScale::pixelOf(double value) const {
    const double t = m_high > m_low ? std::clamp((value - m_low) / (m_high - m_low), 0.0, 1.0) : 0;
    return bar().bottom() - t * bar().height();
}

void ColorScale::draw(QCPPainter* painter) {
    const QRectF box = bar();
    if (box.height() < 1) return;
    painter->setAntialiasing(false);
    painter->setFont(plotFont());
    const int rows = static_cast<int>(box.height());
    QImage colours(1, rows, QImage::Format_RGB32);
    for (int y = 0; y < rows; ++y) {
        colours.setPixel(0, y, color(m_high - (m_high - m_low) * (y + 0.5) / rows));
    }
    painter->drawImage(box, colours);
    painter->setPen(m_theme->mutedText());
    painter->setBrush(Qt::NoBrush);
    painter->drawRect(box);

    const QFontMetrics metrics(painter->font());
    for (int i = 0; i < kTicks; ++i) {
        const double value = m_low + (m_high - m_low) * i / (kTicks - 1);
        const double y = pixelOf(value);
        painter->drawLine(QLineF(box.right(), y, box.right() + 3, y));
        const double top = std::clamp(y - metrics.height() / 2.0, static_cast<double>(mOuterRect.top()),
                                      static_cast<double>(mOuterRect.bottom() - metrics.height()));
        painter->drawText(QPointF(box.right() + 5, top + metrics.ascent()), text(value));
    }
    const QString caption = m_aggregate.isEmpty() ? m_measure : m_measure + QStringLiteral(" · ") + m_aggregate;
    painter->save();
    painter->setPen(m_theme->text());
    painter->translate(mOuterRect.right() - kCaptionWidth, mRect.bottom());
    painter->rotate(-90);
    painter->drawText(QRectF(0, 0, mRect.height(), kCaptionWidth), static_cast<int>(Qt::AlignCenter),
                      metrics.elidedText(caption, Qt::ElideRight, mRect.height()));
    painter->restore();
    drawMark(painter);
}

void ColorScale::drawMark(QCPPainter* painter) const {
    if (!m_marked || !std::isfinite(*m_marked)) return;
    const QRectF box = bar();
    const double y = pixelOf(*m_marked);
    painter->setPen(QPen(m_theme->hover(), 2));
    painter->drawLine(QLineF(box.left() - 3, y, box.right() + 3, y));
    const QFontMetrics metrics(painter->font());
    const QString value = text(*m_marked);
    QRectF label(box.right() + 4, y - metrics.height() / 2.0, metrics.horizontalAdvance(value) + 4, metrics.height());
    label.moveTop(std::clamp(label.top(), static_cast<double>(mOuterRect.top()), mOuterRect.bottom() - label.height()));
    painter->setPen(Qt::NoPen);
    painter->setBrush(m_theme->hover());
    painter->drawRect(label);
    painter->setPen(m_theme->background());
    painter->drawText(label, static_cast<int>(Qt::AlignCenter), value);
}

}  // namespace expertscope
