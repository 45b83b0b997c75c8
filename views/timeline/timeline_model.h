// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "views/base/draw_list.h"
#include "views/base/selection.h"
#include "views/timeline/timeline_rows.h"

namespace expertscope {

class Theme;

/// What lies under a point of the timeline: one item, or (source kDerived) a stretch of the overlap row.
struct TimelineHit {
    const TimelineRow* row = nullptr;
    std::size_t item = 0;
};

/// A stretch of time, nanoseconds since the run's start.
struct TimeStretch {
    std::int64_t from = 0, to = 0;
    bool operator==(const TimeStretch&) const = default;
};

/// What a measured stretch holds. Times are of the compute thread and the link; bytes of a transfer that lies partly
/// inside count in proportion.
struct TimelineMeasure {
    Nanoseconds length, compute, wait, transfer, exposed;
    Bytes bytes;
};

/// The timeline without its widget: a run's rows and a viewport in, draw lists out. Key axis: nanoseconds since the
/// run's start. Value axis: kRowPitch a row, from the top of the first row downwards; pixels where rows are as low as
/// they may be.
///
/// Level of detail: an item at least three pixels wide is a box, with its label from forty pixels on. What is narrower
/// is summed per pixel column and painted as high as the row is busy there, stacked by colour, so that the painted area
/// is the busy time at every zoom. A frame costs O(pixels · log items).
class TimelineModel {
public:
    static constexpr int kRowHeight = 22;
    static constexpr int kRowPitch = 28;

    /// Shows another run, or none; reads at most so many of its spans at once.
    void setTrace(const RunTrace* trace, std::size_t most = TimelineRows::kAll);
    /// Takes in what the run has gained, at most so many spans of it; true when anything changed.
    bool update(std::size_t most = TimelineRows::kAll) { return m_rows && m_rows->update(most); }
    /// Whether everything that the run has is taken in.
    bool complete() const { return !m_rows || m_rows->complete(); }

    bool empty() const { return !m_rows || m_rows->empty(); }
    const TimelineRows* rows() const { return m_rows.get(); }
    /// From the first item to the end of the last.
    TimeStretch extent() const;
    int contentHeight() const;
    /// Middle of a row on the value axis.
    static double rowCentre(std::size_t row) { return static_cast<double>(row) * kRowPitch + kRowPitch / 2.0; }

    /// The rows' items.
    DrawList drawItems(const Viewport& viewport, const Theme& theme) const;
    /// What lies over them: the selected time and tokens as bands, the selected and hovered expert's and layer's items
    /// as outlines.
    DrawList drawMarks(const Viewport& viewport, const Theme& theme, const Selection& selected,
                       const Selection& hovered) const;

    std::optional<TimelineHit> hitAt(QPointF at, double nanosecondsPerPixel) const;
    TimeStretch stretchOf(const TimelineHit& hit) const;
    /// Layer, expert and tokens of an item; what it does not have stays unset.
    Selection selectionOf(const TimelineHit& hit) const;
    /// Lines for the tooltip, the first its title.
    QStringList describe(const TimelineHit& hit) const;
    TimelineMeasure measure(TimeStretch stretch) const;
    /// When the selected tokens ran or the selected time is; nothing for other selections.
    std::optional<TimeStretch> stretchOf(const Selection& selection) const;

private:
    QString label(const TimelineRow& row, const SpanItem& item) const;
    const SpanRecord* spanOf(const SpanItem& item) const;
    void drawRow(DrawList& list, std::size_t index, const Viewport& viewport, const Theme& theme) const;
    void outlineExpert(DrawList& list, const Viewport& viewport, ExpertRef expert, const QColor& color) const;
    void outlineLayer(DrawList& list, const Viewport& viewport, LayerIndex layer, const QColor& color) const;
    void describeTransfer(QStringList& lines, const SpanItem& item) const;
    void describeRange(QStringList& lines, const SpanRecord& span) const;
    const RangeName* rangeNameOf(const SpanRecord& span) const;

    std::unique_ptr<TimelineRows> m_rows;
};

}  // namespace expertscope
