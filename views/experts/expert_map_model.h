// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QString>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "engine/base/run_facts.h"
#include "profiler/analysis/expert_usage.h"
#include "profiler/analysis/reuse.h"
#include "storage/expert_counts.h"
#include "views/base/draw_list.h"
#include "views/base/selection.h"
#include "views/experts/expert_measure.h"

namespace expertscope {

class Theme;

/// Layers × experts, headless: counts a run as it grows and draws one measure of each (layer, expert). In plot
/// coordinates cell (layer, expert) is the unit box at x = expert, y = layer, layer 0 on top (a reversed axis).
class ExpertMapModel {
public:
    struct Cell {
        LayerIndex layer;
        ExpertId expert;
        bool operator==(const Cell&) const = default;
    };

    /// Starts with another run; drops what was counted.
    void setRun(const ModelFacts& model);
    /// Counts only these selections, from the next update on; true when these are others than before, so that nothing
    /// is counted yet.
    bool setFilter(const SelectionFilter& filter);
    /// What another tool counted of this run, for one that has no selections.
    void setSums(std::vector<ExpertCount> sums);
    /// Whether all that is known are such sums: of no token, without weights and outcomes.
    bool hasOnlySums() const { return !m_sums.empty(); }
    /// Takes in what `trace` has gained since the last update of this run; true when a picture may differ.
    bool update(const TraceView& trace);

    std::int32_t layers() const { return m_usage.layers(); }
    std::int32_t experts() const { return m_usage.experts(); }
    bool empty() const { return m_usage.seenSelections() == 0; }
    const ExpertUsageCounter& usage() const { return m_usage; }
    const ReuseCounter& reuse() const { return m_reuse; }

    void setMeasure(ExpertMeasure measure);
    ExpertMeasure measure() const { return m_measure; }
    /// NaN where nothing was recorded.
    double value(ExpertMeasure measure, Cell cell) const;
    double value(Cell cell) const { return value(m_measure, cell); }

    /// While locked, the scale stays as it is, whatever is selected or recorded. Another measure unlocks it.
    void setScaleLocked(bool locked);
    bool scaleLocked() const { return m_lockedScale.has_value(); }
    /// Values at the two ends of the colour bar.
    std::pair<double, double> scale() const;

    /// The cells. Where experts are narrower than a pixel, one column stands for the maximum of perColumn() experts.
    DrawList map(const Viewport& viewport, const Theme& theme) const;
    /// Outlines of what is selected and hovered.
    DrawList marks(const Viewport& viewport, const Theme& theme, const Selection& selected,
                   const Selection& hovered) const;
    /// A strip's axis goes on to this many times its end, for the numbers.
    static constexpr double kStripRoom = 2;
    /// One bar a layer from x = 0: router diversity; repeat rate with its random baseline as a dashed line. The values
    /// stand at the right, at the end × kStripRoom.
    DrawList diversityStrip(const Viewport& viewport, const Theme& theme) const;
    DrawList repeatStrip(const Viewport& viewport, const Theme& theme) const;
    double diversityEnd() const;
    double repeatEnd() const;
    int perColumn(const Viewport& viewport) const;

    std::optional<Cell> cellAt(const QPointF& at) const;
    /// Every value of a cell, a line each.
    QString describe(Cell cell) const;
    QString describeLayer(LayerIndex layer) const;
    /// What was counted, in one sentence, and by what it is filtered.
    QString counted() const;

private:
    void countAnew();
    double layerDiversity(std::int32_t layer) const;
    DrawList strip(const Viewport& viewport, const Theme& theme, double end,
                   const std::function<double(std::int32_t)>& valueOf, QString (*textOf)(double),
                   const QColor& color) const;

    ModelFacts m_model;
    std::vector<ExpertCount> m_sums;
    SelectionFilter m_filter;
    ExpertUsageCounter m_usage{0, 0};
    ReuseCounter m_reuse{0, 0, 0};
    ExpertMeasure m_measure = ExpertMeasure::Selections;
    std::optional<std::pair<double, double>> m_lockedScale;
};

/// The shared selection's token and time range as a filter of selections.
SelectionFilter filterOf(const Selection& selection);

}  // namespace expertscope
