// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/base/draw_list_plottable.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "views/base/colour_science.h"

namespace expertscope {
namespace {

constexpr double kHatchDistance = 5;  // pixels between the lines of a hatch
constexpr int kLabelMargin = 3;       // pixels left and right of a label
constexpr double kGapFrom = 5;        // pixels; a narrower box would lose too much of itself to a gap
constexpr qsizetype kMostLabels = 8192;

/// Lines at 45° through `box`, rising or falling, at multiples of kHatchDistance of the whole plot, so that the hatches
/// of neighbouring boxes join.
void addHatch(QVector<QLineF>& lines, const QRectF& box, bool rising) {
    const double sign = rising ? 1 : -1;
    const double low = rising ? box.left() + box.top() : box.left() - box.bottom();
    const double high = rising ? box.right() + box.bottom() : box.right() - box.top();
    for (double c = std::ceil(low / kHatchDistance) * kHatchDistance; c <= high; c += kHatchDistance) {
        // The line x + sign·y = c, cut to the box.
        double x1 = box.left();
        double x2 = box.right();
        const double atTop = c - sign * box.top();
        const double atBottom = c - sign * box.bottom();
        x1 = std::max(x1, std::min(atTop, atBottom));
        x2 = std::min(x2, std::max(atTop, atBottom));
        if (x2 > x1) lines.append(QLineF(x1, (c - x1) * sign, x2, (c - x2) * sign));
    }
}

QPen thinPen(const QColor& color, bool dashed = false) {
    QPen pen(color, 1, dashed ? Qt::DashLine : Qt::SolidLine);
    pen.setCosmetic(true);
    return pen;
}

void paintBatch(QCPPainter* painter, const QVector<QRectF>& batch, const QColor& color) {
    if (batch.isEmpty()) return;
    painter->setPen(Qt::NoPen);
    painter->setBrush(color);
    painter->drawRects(batch);
}

void paintPattern(QCPPainter* painter, const DrawRect& item, const QRectF& box) {
    if (item.pattern == Pattern::Outline) {
        painter->setPen(thinPen(item.color));
        painter->setBrush(Qt::NoBrush);
        // A pen of one pixel lies half outside of its path.
        painter->drawRect(box.width() > 2 && box.height() > 2 ? box.adjusted(0.5, 0.5, -0.5, -0.5) : box);
        return;
    }
    QColor pale = item.color;
    pale.setAlphaF(static_cast<float>(item.color.alphaF() * 0.3));
    painter->setPen(Qt::NoPen);
    painter->setBrush(pale);
    painter->drawRect(box);
    QVector<QLineF> lines;
    addHatch(lines, box, true);
    if (item.pattern == Pattern::CrossHatch) addHatch(lines, box, false);
    painter->setPen(thinPen(item.color));
    painter->drawLines(lines);
}

}  // namespace

DrawListPlottable::DrawListPlottable(QCPAxis* keyAxis, QCPAxis* valueAxis) : QCPAbstractPlottable(keyAxis, valueAxis) {
    setAntialiased(false);
    setAntialiasedFill(false);
    removeFromLegend();
}

QRectF DrawListPlottable::toPixels(const QRectF& rect) const {
    return QRectF(coordsToPixels(rect.left(), rect.top()), coordsToPixels(rect.right(), rect.bottom())).normalized();
}

Viewport DrawListPlottable::viewport() const {
    const QCPRange keys = mKeyAxis->range();
    const QCPRange values = mValueAxis->range();
    const QSize size = mKeyAxis->axisRect()->size();
    return {QRectF(keys.lower, values.lower, keys.size(), values.size()),
            mKeyAxis->orientation() == Qt::Horizontal ? size : size.transposed()};
}

std::int64_t DrawListPlottable::tagAt(const QPointF& pixel) const {
    if (!mKeyAxis || !mValueAxis) return -1;
    for (auto item = m_list.rects.rbegin(); item != m_list.rects.rend(); ++item) {
        if (item->tag >= 0 && item->pattern != Pattern::Outline && toPixels(item->rect).contains(pixel))
            return item->tag;
    }
    return -1;
}

double DrawListPlottable::selectTest(const QPointF&, bool, QVariant*) const { return -1; }

/// From the lowest to the highest of what `low` and `high` tell of each box; `found` where there is a box.
template <class Low, class High>
QCPRange DrawListPlottable::rangeOf(bool& found, const Low& low, const High& high) const {
    double from = std::numeric_limits<double>::infinity();
    double to = -from;
    const auto widen = [&](const QRectF& r) { from = std::min(from, low(r)), to = std::max(to, high(r)); };
    for (const DrawImage& image : m_list.images)
        widen(image.rect);
    for (const DrawRect& rect : m_list.rects)
        widen(rect.rect);
    found = to >= from;
    return found ? QCPRange(from, to) : QCPRange();
}

QCPRange DrawListPlottable::getKeyRange(bool& foundRange, QCP::SignDomain) const {
    return rangeOf(
        foundRange, [](const QRectF& r) { return r.left(); }, [](const QRectF& r) { return r.right(); });
}

QCPRange DrawListPlottable::getValueRange(bool& foundRange, QCP::SignDomain, const QCPRange&) const {
    return rangeOf(
        foundRange, [](const QRectF& r) { return r.top(); }, [](const QRectF& r) { return r.bottom(); });
}

void DrawListPlottable::draw(QCPPainter* painter) {
    if (!mKeyAxis || !mValueAxis) return;
    if (m_source) m_list = m_source(viewport());
    painter->setAntialiasing(false);
    painter->setFont(mParentPlot->font());
    drawImages(painter);
    drawRects(painter);
    drawLines(painter);
    drawTexts(painter);
}

void DrawListPlottable::drawImages(QCPPainter* painter) const {
    painter->setRenderHint(QPainter::SmoothPixmapTransform, false);
    for (const DrawImage& item : m_list.images) {
        const QPointF first = coordsToPixels(item.rect.left(), item.rect.top());
        const QPointF last = coordsToPixels(item.rect.right(), item.rect.bottom());
        const bool mirrorX = last.x() < first.x();
        const bool mirrorY = last.y() < first.y();
        const QRectF box = QRectF(first, last).normalized();
        painter->drawImage(box, mirrorX || mirrorY ? item.image.mirrored(mirrorX, mirrorY) : item.image);
    }
}

void DrawListPlottable::drawRects(QCPPainter* painter) {
    const QRectF clip = clipRect();
    QVector<QRectF> batch;
    QColor batchColor;
    std::vector<std::pair<const DrawRect*, QRectF>> labelled;
    const auto flush = [&] { paintBatch(painter, batch, batchColor), batch.clear(); };
    for (const DrawRect& item : m_list.rects) {
        const QRectF box = toPixels(item.rect) & clip;
        if (box.width() <= 0 && box.height() <= 0) continue;
        if (item.pattern != Pattern::Solid) {
            flush();
            paintPattern(painter, item, box);
        } else {
            if (item.color != batchColor) flush();
            batchColor = item.color;
            // Without antialiasing a box narrower than a pixel may cover no pixel centre and vanish.
            const double width = box.width() >= kGapFrom ? box.width() - m_gap : box.width();
            batch.append(QRectF(box.x(), box.y(), std::max(width, 1.0), std::max(box.height(), 1.0)));
        }
        if (!item.label.isEmpty()) labelled.emplace_back(&item, box);
    }
    flush();
    for (const auto& [item, box] : labelled)
        drawLabel(painter, *item, box);
}

void DrawListPlottable::drawLabel(QCPPainter* painter, const DrawRect& item, const QRectF& box) {
    const QFontMetrics metrics(painter->font());
    if (box.height() < metrics.ascent()) return;
    const Label& label = elided(item.label, static_cast<int>(box.width()) - 2 * kLabelMargin, painter->font());
    if (label.width <= 0) return;
    const bool filled = item.pattern == Pattern::Solid;
    const QColor background = mParentPlot->palette().color(QPalette::Base);
    const QPointF at(box.left() + kLabelMargin, box.center().y() - metrics.height() / 2.0);
    // Between the lines of a hatch nobody could read it.
    if (!filled) painter->fillRect(QRectF(at, QSizeF(label.width, metrics.height())).adjusted(-1, 0, 1, 0), background);
    painter->setPen(readableOn(filled ? item.color : background));
    painter->drawStaticText(at, label.text);
}

const DrawListPlottable::Label& DrawListPlottable::elided(const QString& text, int width, const QFont& font) {
    const QString key = text + QChar(0x1f) + QString::number(width);
    if (const auto found = m_labels.constFind(key); found != m_labels.cend()) return *found;
    if (m_labels.size() > kMostLabels) m_labels.clear();
    const QFontMetrics metrics(font);
    QString shown = metrics.elidedText(text, Qt::ElideRight, width);
    if (!m_eliding && shown != text) shown.clear();
    // A lone "…" says nothing.
    if (shown.size() < 2) return *m_labels.insert(key, Label{});
    Label label{QStaticText(shown), metrics.horizontalAdvance(shown)};
    label.text.setTextFormat(Qt::PlainText);
    label.text.setPerformanceHint(QStaticText::AggressiveCaching);
    label.text.prepare(QTransform(), font);
    return *m_labels.insert(key, label);
}

void DrawListPlottable::drawLines(QCPPainter* painter) const {
    for (const DrawLine& line : m_list.lines) {
        painter->setPen(thinPen(line.color, line.dashed));
        painter->drawLine(
            QLineF(coordsToPixels(line.from.x(), line.from.y()), coordsToPixels(line.to.x(), line.to.y())));
    }
}

void DrawListPlottable::drawTexts(QCPPainter* painter) const {
    const QFontMetrics metrics(painter->font());
    for (const DrawText& item : m_list.texts) {
        const QPointF at = coordsToPixels(item.at.x(), item.at.y());
        const QSizeF size(metrics.horizontalAdvance(item.text) + 1, metrics.height());
        QRectF box(at, size);
        if (item.alignment & Qt::AlignRight) box.moveRight(at.x());
        if (item.alignment & Qt::AlignHCenter) box.moveLeft(at.x() - size.width() / 2);
        if (item.alignment & Qt::AlignBottom) box.moveBottom(at.y());
        if (item.alignment & Qt::AlignVCenter) box.moveTop(at.y() - size.height() / 2);
        painter->setPen(item.color);
        painter->drawText(box, static_cast<int>(Qt::AlignLeft | Qt::AlignVCenter), item.text);
    }
}

void DrawListPlottable::drawLegendIcon(QCPPainter* painter, const QRectF& rect) const {
    painter->fillRect(rect, mBrush);
}

}  // namespace expertscope
