// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/timeline/occupancy_image.h"

#include <algorithm>
#include <cmath>

namespace expertscope {

OccupancyImage::OccupancyImage(int columns, int height, std::vector<QRgb> colours)
    : m_image(columns, height, QImage::Format_ARGB32_Premultiplied), m_colours(std::move(colours)) {
    m_image.fill(Qt::transparent);
}

void OccupancyImage::setColumn(int column, std::span<const std::int64_t> busy, double whole) {
    const double height = m_image.height();
    double filled = 0;
    for (std::size_t c = 0; c < busy.size(); ++c) {
        if (busy[c] <= 0) continue;
        const double next = std::min(height, filled + static_cast<double>(busy[c]) / whole * height);
        add(column, filled, next, m_colours[c]);
        filled = next;
    }
}

void OccupancyImage::add(int column, double from, double to, QRgb colour) {
    for (int y = static_cast<int>(from); y < to; ++y) {
        const double share = std::min(to, y + 1.0) - std::max(from, static_cast<double>(y));
        auto* row = reinterpret_cast<QRgb*>(m_image.scanLine(m_image.height() - 1 - y));
        const QRgb there = row[column];
        const auto part = [share](int channel) { return static_cast<int>(std::lround(channel * share)); };
        // Two colours that share a pixel each bring their part; rounding must not carry over 255.
        const auto sum = [](int a, int b) { return std::min(255, a + b); };
        row[column] = qRgba(sum(qRed(there), part(qRed(colour))), sum(qGreen(there), part(qGreen(colour))),
                            sum(qBlue(there), part(qBlue(colour))), sum(qAlpha(there), part(255)));
    }
}

}  // namespace expertscope
