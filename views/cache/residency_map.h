// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QPointF>
#include <QString>
#include <memory>
#include <optional>

#include "views/base/draw_list.h"
#include "views/base/selection.h"
#include "views/cache/cache_data.h"

namespace expertscope {

class Theme;

/// Residency over time, headless: how many experts of each layer held a slot in each step, or, of one layer, which
/// expert did and what had brought it. In plot coordinates a step is one unit of the key axis; layer or expert 0 is on
/// top (a reversed value axis).
class ResidencyMap {
public:
    void setRun(std::shared_ptr<const CacheRun> run);
    /// Of one layer, or of all.
    void setLayer(std::optional<LayerIndex> layer) { m_layer = layer; }
    const std::optional<LayerIndex>& layer() const { return m_layer; }

    /// Why there is nothing to draw; empty where there is.
    QString missing() const;
    int columns() const { return m_run ? m_run->steps() : 0; }
    int rows() const;
    /// Values at the ends of the colour bar (experts); of all layers only. Where the run had a budget its middle is the
    /// even spread, and all but the most extreme hundredth of the counts lie on it.
    std::pair<double, double> scale() const { return m_scale; }
    /// Whether the colours tell the distance from the even spread rather than the number.
    bool isSigned() const;
    /// Experts a layer if the run's slots were spread evenly: the baseline. NaN where it has no budget.
    double evenSpread() const;
    int perColumn(const Viewport& viewport) const;
    DrawList map(const Viewport& viewport, const Theme& theme) const;
    DrawList marks(const Viewport& viewport, const Theme& theme, const Selection& selected,
                   const Selection& hovered) const;

    struct Cell {
        StepIndex step;
        std::int32_t row = 0;
    };
    std::optional<Cell> cellAt(const QPointF& at) const;
    double value(Cell cell) const;
    QString describe(Cell cell) const;
    /// What a click on the cell selects: its layer, and of one layer its expert.
    Selection subject(Cell cell) const;
    /// Tokens of the steps [from, to].
    TokenRange tokensOf(StepIndex from, StepIndex to) const;

private:
    DrawList layersMap(const Viewport& viewport, const Theme& theme) const;
    DrawList expertsMap(const Viewport& viewport, const Theme& theme) const;
    std::optional<std::pair<double, double>> stepsOf(const TokenRange& tokens) const;

    void findScale();

    std::shared_ptr<const CacheRun> m_run;
    std::pair<double, double> m_scale{0, 1};
    std::optional<LayerIndex> m_layer;
};

/// Colour and pattern of residents by what brought them.
QColor residencyColor(ResidencyReason reason, const Theme& theme);
Pattern residencyPattern(ResidencyReason reason);

}  // namespace expertscope
