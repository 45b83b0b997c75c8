// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/base/records.h"
#include "engine/base/run_facts.h"

namespace expertscope {

/// What the recorded output norms of the experts that tokens chose say: by (layer, expert) sums for the importance
/// scores of the literature, and by layer how the norms of a token's experts rank against the weights that they were
/// chosen with.
///
/// Plain equivalent: for each cell a scan of all selections; for each token and layer two sorts of its k choices. Here
/// every selection is looked at once, O(log k) each. Ranks ascend (1: the smallest), as in Look-into-MoEs (arXiv
/// 2406.18219 §4.2), which ranks all experts by the router's score; only chosen ones are known here. Scores: REAP
/// (github.com/CerebrasResearch/reap), EAN and frequencies as it names them.
class SelectedNorms {
public:
    struct Expert {
        std::int64_t tokens = 0;    ///< that chose it and ran it: its frequency
        std::int64_t withNorm = 0;  ///< of them with a finite recorded norm
        double weights = 0;         ///< Σ g over `tokens`: the weighted frequency
        double norms = 0;           ///< Σ ‖f‖ over `withNorm`: the expert activation norm (EAN)
        double weightedNorms = 0;   ///< Σ g·‖f‖ over `withNorm`
        double largestNorm = 0;     ///< over `withNorm`
        double meanNorm() const;    ///< NaN without norms, as are those below
        double reap() const;        ///< mean of g·‖f‖
        double largest() const;
    };
    /// Rank against rank, of the tokens whose k choices all have a norm.
    struct Ranks {
        std::int64_t tokens = 0;
        std::vector<std::int64_t> counts;  ///< [k, k]: rank of the weight, then of the norm, both from 0
        double correlation = 0;            ///< mean over `tokens` of Spearman's ρ; NaN without tokens or for k < 2
    };

    explicit SelectedNorms(const ModelFacts& model);
    /// Selections in order of recording; a token's choices of a layer come together.
    void add(std::span<const SelectionRecord> selections);
    /// Ends the last token's choices; nothing is added after it.
    void finish();

    std::int32_t layers() const { return m_layers; }
    std::int32_t experts() const { return m_experts; }
    std::int32_t topK() const { return m_topK; }
    const Expert& at(LayerIndex layer, ExpertId expert) const {
        return m_cells[layer.index() * static_cast<std::size_t>(m_experts) + expert.index()];
    }
    const Ranks& ranks(LayerIndex layer) const { return m_ranks[layer.index()]; }
    /// Of all layers together.
    Ranks allRanks() const;
    /// Selections that were counted, and of them those with a norm; dropped ones are left out.
    std::int64_t selections() const { return m_selections; }
    std::int64_t withNorm() const { return m_withNorm; }
    /// A choice of a token that is not whole (dropped, without a norm) has no ranks.
    std::int64_t withoutRanks() const { return m_withoutRanks; }

private:
    struct Choice {
        float weight, norm;
    };
    void endToken();

    std::int32_t m_layers, m_experts, m_topK;
    std::vector<Expert> m_cells;
    std::vector<Ranks> m_ranks;
    std::vector<Choice> m_choices;  ///< of the token and layer at hand
    TokenIndex m_token{-1};
    LayerIndex m_layer{-1};
    std::int64_t m_selections = 0, m_withNorm = 0, m_withoutRanks = 0;
};

}  // namespace expertscope
