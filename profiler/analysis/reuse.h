// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "profiler/analysis/selection_filter.h"

namespace expertscope {

/// How often and how soon experts are used again, over the selections that a filter takes.
///
/// - *Reuse distance* of a (layer, expert): tokens of the run from one token that chose it to the next one that did (1
/// =
///   the very next). It goes on over requests, as the expert cache does.
/// - *Overlap at lag d* of a layer: mean over tokens t of |S_t ∩ S_{t+d}| / k, both tokens of the same request, S the
/// set of
///   the k experts that the layer chose; lag 1 is the *repeat rate*. If routing were random it would be k / E (the
///   expected overlap of two independent k-subsets of E). Plain equivalent: intersect the two sets of every pair.
///
/// Tokens whose k selections are not all recorded (the last step of a live run) count in no overlap. An update costs
/// O(new selections · k). Sources: Mixtral (arXiv 2401.04088, table 5) for repetition and its baseline, BigMoeOnEdge
/// route-analyze for reuse distance and the lags.
class ReuseCounter {
public:
    static constexpr std::array<std::int32_t, 4> kLags{1, 2, 4, 8};

    ReuseCounter(std::int32_t layers, std::int32_t experts, std::int32_t topK, const SelectionFilter& filter = {});

    /// Takes in what `trace` has gained since; true when any number may have changed.
    bool update(const TraceView& trace);

    std::int32_t layers() const { return m_layers; }
    std::int32_t experts() const { return m_experts; }
    /// Median reuse distance in tokens (mean of the middle two where even); NaN with fewer than two uses.
    double medianDistance(LayerIndex layer, ExpertId expert) const;
    /// Distances seen: uses − 1.
    std::int64_t distances(LayerIndex layer, ExpertId expert) const;
    /// Overlap at kLags[lag], 0…1; NaN where no pair was recorded.
    double overlap(LayerIndex layer, std::size_t lag) const;
    std::int64_t pairs(LayerIndex layer, std::size_t lag) const;
    double repeatRate(LayerIndex layer) const { return overlap(layer, 0); }
    /// Expected overlap of independent uniform choices, k / E, at any lag.
    double randomOverlap() const;

private:
    static constexpr std::int32_t kWindow = 16;  ///< more than the longest lag

    struct TokenSet {
        TokenIndex token{-1};
        std::vector<ExpertId> experts;
    };
    struct Distances {
        TokenIndex lastUse{-1};
        std::int64_t count = 0;
        std::map<std::int32_t, std::int64_t> histogram;  ///< few distinct values: the median is a short walk
    };
    struct LayerState {
        std::array<TokenSet, kWindow> recent;
        std::array<std::int64_t, kLags.size()> shared{}, pairs{};
    };
    void count(const SelectionRecord& selection, std::span<const RequestRecord> requests);
    void countOverlaps(LayerState& layer, const TokenSet& now, std::span<const RequestRecord> requests);

    std::int32_t m_layers, m_experts, m_topK;
    SelectionSieve m_sieve;
    std::size_t m_selectionsRead = 0;
    std::vector<Distances> m_distances;
    std::vector<LayerState> m_layerStates;
};

}  // namespace expertscope
