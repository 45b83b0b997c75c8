// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <functional>
#include <limits>
#include <optional>
#include <vector>

#include "views/base/draw_list.h"
#include "views/timeline/occupancy_image.h"
#include "views/timeline/timeline_rows.h"

namespace expertscope {

class Theme;

/// Where a row stands on the value axis.
struct RowPlace {
    std::size_t index = 0;
    double top = 0;
    double height = 0;
};

/// Paints one row of the timeline into a draw list. Walks the viewport pixel by pixel where items are narrow (a column
/// of a picture, as high as the row is busy there), box by box where they are wide. O(pixels · log items).
class RowPainter {
public:
    /// An item is a box from this width on, has a pattern and a label from those; in pixels.
    static constexpr double kBoxPixels = 3;
    static constexpr double kPatternPixels = 8;
    static constexpr double kLabelPixels = 40;
    using Label = std::function<QString(const SpanItem&)>;

    RowPainter(const TimelineRow& row, RowPlace place, const Viewport& viewport, const Theme& theme, DrawList& list);
    void paint(const Label& label);

private:
    double edge(int column) const { return m_viewport.range.left() + column * m_pixel; }
    int columnOf(std::int64_t time) const;
    bool isWide(std::size_t item) const;
    void paintColumn(int column, std::size_t first, std::size_t last, const Label& label);
    void addEdge(int column, std::size_t item, const Label& label);
    void addBox(std::size_t item, double from, double to, const Label& label);

    const TimelineRow& m_row;
    const SpanRow& m_items;
    RowPlace m_place;
    const Viewport& m_viewport;
    const Theme& m_theme;
    DrawList& m_list;
    double m_pixel;  ///< nanoseconds
    std::vector<std::int64_t> m_busy;
    std::optional<OccupancyImage> m_image;
    std::size_t m_boxed = std::numeric_limits<std::size_t>::max();
};

}  // namespace expertscope
