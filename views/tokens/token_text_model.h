// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QHash>
#include <QRectF>
#include <QString>
#include <functional>
#include <optional>
#include <vector>

#include "engine/base/run_facts.h"
#include "profiler/analysis/expert_usage.h"
#include "profiler/analysis/selection_index.h"
#include "views/base/draw_list.h"
#include "views/base/selection.h"

namespace expertscope {

class Theme;

enum class TokenColour : std::uint8_t { TopExpert, Outcome, LogProbability };

/// How wide a text is and how tall a line, in pixels.
struct TextMetrics {
    std::function<double(const QString&)> advance;
    double lineHeight = 16;
};

/// Each token's text as it is painted. A UTF-8 character that several tokens share stands at the first of them, the
/// others show "·"; bytes that make no character show "�". A line break stands as "⏎" and breaks the line after it, a
/// tab as "⇥".
std::vector<QString> displayTexts(std::span<const TokenRecord> tokens);

/// The text of a run, headless: every token a coloured box, laid out in lines for a width, requests under their
/// headings. Coordinates are pixels from the top left of the whole text. Laying out costs O(new tokens), or O(tokens)
/// for a new width; a picture, the visible lines.
class TokenTextModel {
public:
    void setRun(const ModelFacts& model);
    bool update(const TraceView& trace);
    /// Breaks the text into lines of at most `width` pixels; words are kept together where they fit.
    /// A text that has grown is laid out from its last settled line on.
    void layOut(const TraceView& trace, double width, const TextMetrics& metrics);

    void setLayer(LayerIndex layer);
    LayerIndex layer() const { return m_layer; }
    std::int32_t layers() const { return m_index.layers(); }
    void setColour(TokenColour colour) { m_colour = colour; }
    TokenColour colour() const { return m_colour; }

    double height() const { return m_height; }
    /// What is to be painted between two heights.
    DrawList draw(const TraceView& trace, const Theme& theme, double top, double bottom, const Selection& selected,
                  const Selection& hovered) const;
    /// The token under a point; with `nearest`, the one next to it in its line (for dragging past a line's end).
    std::optional<TokenIndex> tokenAt(const QPointF& at, bool nearest = false) const;
    /// Where the token's text starts; empty where it is not laid out.
    QRectF boxOf(TokenIndex token) const;

    /// Expert of highest rank of a token in the chosen layer; nothing where none was recorded.
    std::optional<ExpertId> topExpert(TokenIndex token, const TraceView& trace) const;
    /// The worst outcome among the token's choices in the chosen layer.
    std::optional<Outcome> worstOutcome(TokenIndex token, const TraceView& trace) const;
    /// The chosen layer's most used experts, most used first, with their share of its assignments.
    std::vector<std::pair<ExpertId, double>> mostUsed(std::size_t count) const;
    /// All layers' choices of a token as rich text: expert, weight and ● ◐ ○ a choice.
    QString describe(TokenIndex token, const TraceView& trace, const Theme& theme) const;
    QString counted(const TraceView& trace) const;
    const SelectionIndex& index() const { return m_index; }

private:
    struct Fragment {
        TokenIndex token;
        QRectF box;
        QString text;
    };
    struct Heading {
        QRectF box;
        QString text;
    };
    /// Where a line starts with a token, so that laying out can go on from there.
    struct LineStart {
        std::size_t token, fragments, headings;
        double y;
    };
    LineStart resume(const TraceView& trace, double width, double lineHeight);
    std::size_t tokensLaidOut() const { return m_firstFragment.size(); }
    bool chose(TokenIndex token, ExpertId expert, const TraceView& trace) const;
    QColor fill(const TokenRecord& token, const TraceView& trace, const Theme& theme) const;
    void drawFragment(DrawList& list, const Fragment& fragment, const TraceView& trace, const Theme& theme) const;
    double advance(const QString& text, const TextMetrics& metrics);

    LayerIndex m_layer;
    TokenColour m_colour = TokenColour::TopExpert;
    SelectionIndex m_index{0, 0};
    ExpertUsageCounter m_usage{0, 0};
    std::vector<Fragment> m_fragments;  ///< by line, then from left to right
    std::vector<Heading> m_headings;
    std::vector<std::size_t> m_firstFragment;  ///< by token
    std::vector<LineStart> m_lineStarts;
    double m_laidWidth = 0, m_laidLineHeight = 0;
    QHash<QString, double> m_advances;
    double m_height = 0;
};

}  // namespace expertscope
