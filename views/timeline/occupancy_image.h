// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QImage>
#include <cstdint>
#include <span>
#include <vector>

namespace expertscope {

/// A picture of how busy a row is: one column a pixel, filled from the bottom as high as the column is busy, in layers
/// of colour. A row of pixels that is covered in part is transparent in part, so that the sum of a column's alpha is
/// exactly its busy share.
class OccupancyImage {
public:
    OccupancyImage(int columns, int height, std::vector<QRgb> colours);
    /// Paints one column: `busy` nanoseconds of each colour out of `whole`.
    void setColumn(int column, std::span<const std::int64_t> busy, double whole);
    const QImage& image() const { return m_image; }

private:
    void add(int column, double from, double to, QRgb colour);
    QImage m_image;
    std::vector<QRgb> m_colours;
};

}  // namespace expertscope
