// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QColor>

namespace expertscope {

/// A colour in OKLab (Björn Ottosson, "A perceptual color space for image processing", 2020): equal L looks equally
/// light.
struct OkLab {
    double L = 0, a = 0, b = 0;
};
OkLab toOkLab(const QColor& color);
/// Values outside sRGB are clamped a channel at a time.
QColor fromOkLab(const OkLab& lab);
/// Lightness 0…1, hue in degrees; chroma is reduced until the colour lies inside sRGB, so that lightness and hue stay.
QColor fromOkLch(double lightness, double chroma, double hueDegrees);
/// WCAG 2 contrast ratio of two opaque colours, 1…21.
double contrast(const QColor& a, const QColor& b);
/// Black or white, whichever reads better on `background`: one of them always has a contrast of 4.5:1 or more, which a
/// softened black misses on colours of middle lightness.
QColor readableOn(const QColor& background);

}  // namespace expertscope
