// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QString>
#include <optional>
#include <utility>

#include "engine/base/run_facts.h"
#include "profiler/analysis/residency_timeline.h"
#include "profiler/analysis/selection_index.h"
#include "views/base/draw_list.h"
#include "views/base/selection.h"

namespace expertscope {

class Theme;

/// Tokens × experts of one layer, headless: which experts each token chose, by weight or by outcome, over a shading of
/// which were resident when the token's step looked them up. In plot coordinates cell (token, expert) is the unit box
/// at x = token, y = expert, expert 0 on top (a reversed axis). A picture costs O(visible tokens · k + pixels).
class TokenExpertModel {
public:
    enum class Colour : std::uint8_t { Weight, Outcome };
    struct Cell {
        TokenIndex token;
        ExpertId expert;
        bool operator==(const Cell&) const = default;
    };

    void setRun(const ModelFacts& model);
    bool update(const TraceView& trace);

    void setLayer(LayerIndex layer);
    LayerIndex layer() const { return m_layer; }
    void setColour(Colour colour) { m_colour = colour; }
    Colour colour() const { return m_colour; }

    std::int32_t layers() const { return m_residency.layers(); }
    std::int32_t experts() const { return m_residency.experts(); }
    /// Tokens that have selections or a text.
    std::int32_t tokens() const { return m_tokens; }
    /// Where the token axis ends: exactly for a run that is over, else a power of two, so that a live map fills without
    /// being squeezed at every update.
    std::int32_t axisEnd(bool running) const;
    /// Values at the two ends of the weight scale.
    std::pair<double, double> scale() const;

    /// `trace` is the one that was last updated from. Where tokens are narrower than a pixel, a column stands for
    /// perColumn() tokens: the greatest weight, the worst outcome, the share of them that found the expert resident.
    DrawList map(const Viewport& viewport, const TraceView& trace, const Theme& theme) const;
    DrawList marks(const Viewport& viewport, const Theme& theme, const Selection& selected,
                   const Selection& hovered) const;
    int perColumn(const Viewport& viewport) const;

    std::optional<Cell> cellAt(const QPointF& at) const;
    QString describe(Cell cell, const TraceView& trace) const;
    /// Weight with which the token chose the expert; NaN where it did not.
    double weight(Cell cell, const TraceView& trace) const;
    /// Whether the expert was resident when the token's step looked it up.
    bool wasResident(Cell cell) const {
        return m_residency.residentIn(m_layer, cell.expert, m_index.stepOf(cell.token));
    }
    const SelectionIndex& index() const { return m_index; }

private:
    const SelectionRecord* choice(Cell cell, const TraceView& trace) const;
    QRgb cellColor(double weight, double high, int outcome, double resident, const Theme& theme) const;

    std::int32_t m_tokens = 0;
    float m_maxWeight = 0;
    std::size_t m_selectionsRead = 0;
    LayerIndex m_layer;
    Colour m_colour = Colour::Weight;
    SelectionIndex m_index{0, 0};
    ResidencyTimeline m_residency{0, 0};
};

/// The bytes of a token as a person reads them: whitespace and control characters shown, incomplete UTF-8 replaced.
QString tokenText(const TokenRecord& token);

}  // namespace expertscope
