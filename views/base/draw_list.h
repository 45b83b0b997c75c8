// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QColor>
#include <QImage>
#include <QRectF>
#include <QString>
#include <cstdint>
#include <vector>

namespace expertscope {

enum class Pattern : std::uint8_t { Solid, Outline, DiagonalHatch, CrossHatch };

/// Filled box in plot coordinates (x: key axis, y: value axis).
struct DrawRect {
    QRectF rect;
    QColor color;
    Pattern pattern = Pattern::Solid;
    QString label = {};     ///< drawn inside, elided; empty when it would not fit
    std::int64_t tag = -1;  ///< what it stands for, in the model's own numbering; -1 for an aggregate
};
struct DrawLine {
    QPointF from, to;
    QColor color;
    bool dashed = false;
};
struct DrawText {
    QPointF at;
    QString text;
    QColor color;
    Qt::Alignment alignment = Qt::AlignLeft | Qt::AlignVCenter;
};
/// Pixels stretched over a box in plot coordinates; row 0 of the image is at rect.top().
struct DrawImage {
    QRectF rect;
    QImage image;
};

/// Everything that a view paints, in painting order images, rects, lines, texts. Plain data: tests compare it.
struct DrawList {
    std::vector<DrawImage> images;
    std::vector<DrawRect> rects;
    std::vector<DrawLine> lines;
    std::vector<DrawText> texts;
};

/// What a headless model draws for: the visible range in plot coordinates and its size in pixels.
struct Viewport {
    QRectF range;
    QSize pixels;
};

}  // namespace expertscope
