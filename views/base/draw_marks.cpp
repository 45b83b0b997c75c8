// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/base/draw_marks.h"

#include <cmath>

namespace expertscope {

double pixelsPerUnitX(const Viewport& v) { return v.range.width() > 0 ? v.pixels.width() / v.range.width() : 0; }
double pixelsPerUnitY(const Viewport& v) { return v.range.height() > 0 ? v.pixels.height() / v.range.height() : 0; }

void addOutline(DrawList& list, const QRectF& box, const Viewport& viewport, const QColor& color) {
    const double dx = pixelsPerUnitX(viewport) > 0 ? 1 / pixelsPerUnitX(viewport) : 0;
    const double dy = pixelsPerUnitY(viewport) > 0 ? 1 / pixelsPerUnitY(viewport) : 0;
    list.rects.push_back({box, color, Pattern::Outline, {}, -1});
    list.rects.push_back({box.adjusted(-dx, -dy, dx, dy), color, Pattern::Outline, {}, -1});
}

QRectF pixelBox(const QPointF& at, double pixels, const Viewport& viewport) {
    const double x = pixelsPerUnitX(viewport), y = pixelsPerUnitY(viewport);
    if (x <= 0 || y <= 0) return QRectF(at, QSizeF(0, 0));
    return {at.x() - pixels / 2 / x, at.y() - pixels / 2 / y, pixels / x, pixels / y};
}

void Polyline::to(const QPointF& at) {
    const bool finite = std::isfinite(at.y());
    if (finite && m_last) m_list.lines.push_back({*m_last, at, m_color, m_dashed});
    m_last = finite ? std::optional(at) : std::nullopt;
}

}  // namespace expertscope
