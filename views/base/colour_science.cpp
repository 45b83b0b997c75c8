// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/base/colour_science.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace expertscope {
namespace {

struct LinearRgb {
    double r, g, b;
    bool inGamut() const {
        constexpr double kSlack = 1e-4;
        const auto inside = [](double v) { return v >= -kSlack && v <= 1 + kSlack; };
        return inside(r) && inside(g) && inside(b);
    }
};

double toLinear(double channel) {
    return channel <= 0.04045 ? channel / 12.92 : std::pow((channel + 0.055) / 1.055, 2.4);
}

double toGamma(double channel) {
    const double v = std::clamp(channel, 0.0, 1.0);
    return v <= 0.0031308 ? v * 12.92 : 1.055 * std::pow(v, 1 / 2.4) - 0.055;
}

LinearRgb linear(const QColor& color) {
    return {toLinear(color.redF()), toLinear(color.greenF()), toLinear(color.blueF())};
}

LinearRgb linear(const OkLab& lab) {
    const double l = std::pow(lab.L + 0.3963377774 * lab.a + 0.2158037573 * lab.b, 3);
    const double m = std::pow(lab.L - 0.1055613458 * lab.a - 0.0638541728 * lab.b, 3);
    const double s = std::pow(lab.L - 0.0894841775 * lab.a - 1.2914855480 * lab.b, 3);
    return {4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
            -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
            -0.0041960863 * l - 0.7034186147 * m + 1.7076147010 * s};
}

QColor encoded(const LinearRgb& c) {
    return QColor::fromRgbF(static_cast<float>(toGamma(c.r)), static_cast<float>(toGamma(c.g)),
                            static_cast<float>(toGamma(c.b)));
}

double luminance(const QColor& color) {
    const LinearRgb c = linear(color);
    return 0.2126 * c.r + 0.7152 * c.g + 0.0722 * c.b;
}

}  // namespace

OkLab toOkLab(const QColor& color) {
    const LinearRgb c = linear(color);
    const double l = std::cbrt(0.4122214708 * c.r + 0.5363325363 * c.g + 0.0514459929 * c.b);
    const double m = std::cbrt(0.2119034982 * c.r + 0.6806995451 * c.g + 0.1073969566 * c.b);
    const double s = std::cbrt(0.0883024619 * c.r + 0.2817188376 * c.g + 0.6299787005 * c.b);
    return {0.2104542553 * l + 0.7936177850 * m - 0.0040720468 * s,
            1.9779984951 * l - 2.4285922050 * m + 0.4505937099 * s,
            0.0259040371 * l + 0.7827717662 * m - 0.8086757660 * s};
}

QColor fromOkLab(const OkLab& lab) { return encoded(linear(lab)); }

QColor fromOkLch(double lightness, double chroma, double hueDegrees) {
    const double hue = hueDegrees * std::numbers::pi / 180;
    for (double c = chroma; c > 0; c -= 0.005) {
        const LinearRgb rgb = linear(OkLab{lightness, c * std::cos(hue), c * std::sin(hue)});
        if (rgb.inGamut()) return encoded(rgb);
    }
    return encoded(linear(OkLab{lightness, 0, 0}));
}

double contrast(const QColor& a, const QColor& b) {
    const double la = luminance(a) + 0.05;
    const double lb = luminance(b) + 0.05;
    return std::max(la, lb) / std::min(la, lb);
}

QColor readableOn(const QColor& background) {
    const QColor black(Qt::black), white(Qt::white);
    return contrast(black, background) >= contrast(white, background) ? black : white;
}

}  // namespace expertscope
