// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <optional>

#include "views/base/draw_list.h"

namespace expertscope {

/// Pixels of a digit in the plot font, on the safe side.
inline constexpr double kDigitWidth = 7.2;

/// Pixels that one unit of an axis takes; 0 where nothing is visible.
double pixelsPerUnitX(const Viewport& viewport);
double pixelsPerUnitY(const Viewport& viewport);

/// Outline of a box two pixels thick, so that it shows on a busy map.
void addOutline(DrawList& list, const QRectF& box, const Viewport& viewport, const QColor& color);

/// A box of so many pixels around a point.
QRectF pixelBox(const QPointF& at, double pixels, const Viewport& viewport);

/// A line through finite values; gaps stay gaps.
class Polyline {
public:
    Polyline(DrawList& list, const QColor& color, bool dashed = false)
        : m_list(list), m_color(color), m_dashed(dashed) {}
    void to(const QPointF& at);

private:
    DrawList& m_list;
    QColor m_color;
    bool m_dashed;
    std::optional<QPointF> m_last;
};

}  // namespace expertscope
