// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "views/base/draw_list.h"
#include "views/base/selection.h"
#include "views/timeline/timeline_parts.h"
#include "views/timeline/timeline_rows.h"

namespace expertscope {

class Theme;

/// What lies under a point of the timeline: one item, or (source kDerived) a stretch of the overlap row.
struct TimelineHit {
    const TimelineRow* row = nullptr;
    std::size_t item = 0;
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
///
/// A long run is shown in parts that somebody reads (TimelineParts) and hands over: look() says what is visible, and
/// suits() whether that part is there. Until it is, the picture is drawn from what was read before.
class TimelineModel {
public:
    static constexpr int kRowHeight = 22;
    static constexpr int kRowPitch = 28;

    /// Shows another run, or none; reads at most so many of its spans at once.
    void setTrace(const RunTrace* trace, std::size_t most = TimelineRows::kAll);
    /// Takes in what the run has gained, at most so many spans of it; true when anything changed.
    bool update(std::size_t most = TimelineRows::kAll) { return m_all && m_all->update(most); }
    /// Whether everything that the run has is taken in.
    bool complete() const { return !m_all || m_all->complete(); }

    /// Shows another run in parts. `trace` tells the tokens, as far as they are known.
    void showInParts(const RunTrace& trace);
    bool inParts() const { return m_trace && !m_all; }
    /// The first part is the whole run; each later one takes the place of the one before.
    void take(TimelinePart part);
    bool hasWhole() const { return m_whole.rows != nullptr; }
    /// Draws from the part that suits this stretch best.
    void look(TimeStretch visible);
    bool suits(TimeStretch visible, double nanosecondsPerPixel) const;
    /// Whether the rows that are drawn from are sums.
    bool summed() const { return inParts() && m_rows && m_rows == m_whole.rows.get(); }

    bool empty() const { return !m_rows || m_rows->empty(); }
    const TimelineRows* rows() const { return m_rows; }
    /// The run that is shown, or null.
    const RunTrace* trace() const { return m_trace; }
    /// What occurs in the run and so needs an explanation.
    std::vector<SpanPaint> paints() const;
    /// What became of the transfer that a span is; null where it is none, or its fate is not known.
    const TransferRecord* transferOf(std::size_t span) const;
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

    std::optional<std::pair<TokenIndex, TokenIndex>> tokensOf(StepIndex step) const;
    std::optional<TimeStretch> stretchOfStep(StepIndex step) const;
    const TimelineRows* rowsFor(TimeStretch stretch) const;
    void describeSum(QStringList& lines, const TimelineHit& hit, const TimelineSum& sum) const;

    const RunTrace* m_trace = nullptr;
    std::unique_ptr<TimelineRows> m_all;   ///< of a run that is taken in whole
    TimelinePart m_whole, m_part;          ///< of one that is shown in parts
    const TimelineRows* m_rows = nullptr;  ///< those of the three that are drawn from
};

}  // namespace expertscope
