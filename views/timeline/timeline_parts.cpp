// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/timeline/timeline_parts.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace expertscope {
namespace {

/// Records of a part that is shown by its spans: some twenty milliseconds of reading.
constexpr std::int64_t kMostRecords = 100'000;
/// Sums may be this much coarser than a pixel before they are read anew.
constexpr double kCoarsest = 1.6;
constexpr int kOutlinePixels = 512;
constexpr int kSumsAPixel = 4;

}  // namespace

bool TimelinePart::suits(TimeStretch visible, double nanosecondsPerPixel) const {
    visible = {std::max(visible.from, extent.from), std::min(visible.to, extent.to)};
    if (visible.from >= visible.to) return true;  // nothing is there
    return stretch.covers(visible) && (detailed || perPixel <= kCoarsest * nanosecondsPerPixel);
}

TimelineParts::TimelineParts(std::filesystem::path session, const RunTrace& trace)
    : m_session(std::move(session)), m_entry(trace.entry()), m_lanes(trace.lanes()), m_names(trace.rangeNames()) {}

const SessionReader& TimelineParts::reader() {
    if (!m_reader) m_reader.emplace(m_session);
    return *m_reader;
}

TimelinePart TimelineParts::whole(int pixels) {
    const auto extent = reader().spanExtent(m_entry.id);
    if (!extent) return {};
    m_extent = {(extent->first - m_entry.description.start).count(),
                (extent->second - m_entry.description.start).count() + 1};
    m_outline = sums(m_extent, static_cast<double>(m_extent.to - m_extent.from) / kOutlinePixels);
    return sums(m_extent, static_cast<double>(m_extent.to - m_extent.from) / std::max(pixels, 1));
}

TimelinePart TimelineParts::around(TimeStretch visible, int pixels) {
    const std::int64_t width = std::max<std::int64_t>(visible.to - visible.from, 1);
    const TimeStretch stretch{std::max(m_extent.from, visible.from - width), std::min(m_extent.to, visible.to + width)};
    const double perPixel = static_cast<double>(width) / std::max(pixels, 1);
    auto records = reader().spansBetween(m_entry.id, absolute(stretch.from), absolute(stretch.to), kMostRecords);
    if (!records) return sums(stretch, perPixel);
    TimelinePart part{m_extent, stretch, perPixel, true, nullptr, nullptr};
    part.trace = std::make_unique<RunTrace>(m_entry, m_lanes, m_names, std::move(*records));
    part.rows = std::make_unique<TimelineRows>(*part.trace);
    part.rows->addRowsOf(*m_outline.rows);
    return part;
}

TimelinePart TimelineParts::sums(TimeStretch stretch, double perPixel) {
    // Finer than pixels: a stretch of sums that two pixels share is not told apart between them.
    const int pixels =
        kSumsAPixel * static_cast<int>(std::ceil(static_cast<double>(stretch.to - stretch.from) / perPixel));
    const Nanoseconds from = absolute(stretch.from), to = absolute(stretch.to);
    TimelinePart part{m_extent, stretch, perPixel, false, nullptr, nullptr};
    part.trace = std::make_unique<RunTrace>(m_entry, m_lanes, m_names, RecordBatch{});
    part.rows = std::make_unique<TimelineRows>(*part.trace, reader().spanWindow(m_entry.id, from, to, pixels),
                                               reader().transferWindow(m_entry.id, from, to, pixels));
    if (m_outline.rows) part.rows->addRowsOf(*m_outline.rows);
    return part;
}

}  // namespace expertscope
