// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/timeline/row_painter.h"

#include <algorithm>
#include <cmath>

#include "views/base/theme.h"

namespace expertscope {

RowPainter::RowPainter(const TimelineRow& row, RowPlace place, const Viewport& viewport, const Theme& theme,
                       DrawList& list)
    : m_row(row),
      m_items(row.items),
      m_place(place),
      m_viewport(viewport),
      m_theme(theme),
      m_list(list),
      m_pixel(viewport.range.width() / viewport.pixels.width()),
      m_busy(row.items.categories()) {}

void RowPainter::paint(const Label& label) {
    const int columns = m_viewport.pixels.width();
    std::size_t first = m_items.firstEndingAfter(static_cast<std::int64_t>(std::floor(m_viewport.range.left())));
    for (int column = 0; column < columns && first < m_items.size();) {
        const double gap = static_cast<double>(m_items.coverFrom(first)) - edge(column + 1);
        if (gap >= 0) {
            column = std::max(column + 1, columnOf(m_items.coverFrom(first)));
            continue;
        }
        const std::int64_t to = static_cast<std::int64_t>(std::ceil(edge(column + 1)));
        const std::size_t last = m_items.firstCoveringFrom(to, first);
        paintColumn(column, first, last, label);
        // The last item may go on beyond this pixel.
        first = last > first && static_cast<double>(m_items.coverTo(last - 1)) > edge(column + 1) ? last - 1 : last;
        const bool wideGoesOn = first < last && isWide(first);
        column = wideGoesOn ? std::max(column + 1, columnOf(m_items.coverTo(first))) : column + 1;
    }
    if (m_image) {
        m_list.images.push_back(
            {QRectF(m_viewport.range.left(), m_place.top, m_viewport.range.width(), m_place.height), m_image->image()});
    }
}

int RowPainter::columnOf(std::int64_t time) const {
    const double column = (static_cast<double>(time) - m_viewport.range.left()) / m_pixel;
    return static_cast<int>(std::min(column, static_cast<double>(m_viewport.pixels.width())));
}

bool RowPainter::isWide(std::size_t item) const {
    return !m_row.summed &&
           static_cast<double>(m_items.coverTo(item) - m_items.coverFrom(item)) >= kBoxPixels * m_pixel;
}

void RowPainter::paintColumn(int column, std::size_t first, std::size_t last, const Label& label) {
    std::ranges::fill(m_busy, 0);
    addEdge(column, first, label);
    if (first + 1 < last) addEdge(column, last - 1, label);
    // What lies between two others lies wholly inside this pixel, so it is narrow.
    if (first + 2 < last) m_items.addCovered(first + 1, last - 1, m_busy);
    if (std::ranges::all_of(m_busy, [](std::int64_t busy) { return busy <= 0; })) return;
    if (!m_image) {
        std::vector<QRgb> colours;
        for (const SpanPaint paint : m_row.paints)
            colours.push_back(paintColor(paint, m_theme).rgb());
        // As many pixels high as the row is on screen: stretched, the heights of its columns would be coarse.
        const double pixels = m_place.height * m_viewport.pixels.height() / m_viewport.range.height();
        m_image.emplace(m_viewport.pixels.width(), std::max(1, static_cast<int>(std::lround(pixels))),
                        std::move(colours));
    }
    m_image->setColumn(column, m_busy, m_pixel);
}

void RowPainter::addEdge(int column, std::size_t item, const Label& label) {
    const auto from = static_cast<double>(m_items.coverFrom(item));
    const auto to = static_cast<double>(m_items.coverTo(item));
    if (isWide(item)) {
        if (m_boxed != item) addBox(item, from, to, label);
        m_boxed = item;
        return;
    }
    const double inside = std::min(to, edge(column + 1)) - std::max(from, edge(column));
    m_busy[m_items.item(item).category] += static_cast<std::int64_t>(std::llround(std::max(inside, 0.0)));
}

void RowPainter::addBox(std::size_t item, double from, double to, const Label& label) {
    const SpanPaint paint = m_row.paints[m_items.item(item).category];
    DrawRect rect{QRectF(from, m_place.top, to - from, m_place.height), paintColor(paint, m_theme)};
    const double pixels = (to - from) / m_pixel;
    if (pixels >= kPatternPixels) rect.pattern = paintPattern(paint);
    if (pixels >= kLabelPixels) rect.label = label(m_items.item(item));
    rect.tag = static_cast<std::int64_t>(m_place.index << 40U | item);
    m_list.rects.push_back(std::move(rect));
}

}  // namespace expertscope
