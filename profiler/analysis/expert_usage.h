// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "profiler/analysis/selection_filter.h"

namespace expertscope {

/// What one expert of one layer did. A *selection* is one token choosing the expert; an *access* is the expert needed
/// by its layer in one step, however many tokens of the step chose it, and belongs to the token that is marked as first
/// use.
struct ExpertUsage {
    std::int64_t selections = 0;
    std::int64_t summed = 0;  ///< of these, told as a sum: without token, weight and outcome
    std::int64_t accesses = 0, hits = 0, inFlight = 0, misses = 0;  ///< accesses = hits + inFlight + misses
    std::int64_t loads = 0;         ///< admissions on demand or by prefetch in the layer steps that were counted
    std::int64_t loadAccesses = 0;  ///< accesses in those layer steps, of tokens outside the filter too
    std::int64_t normCount = 0;     ///< selections with a finite recorded norm
    double weightSum = 0;
    double normSum = 0;

    /// Mean gate weight as applied; NaN without selections.
    double meanWeight() const;
    /// Mean L2 norm of the unweighted output; NaN where none was recorded.
    double meanNorm() const;
    /// hits / accesses: what was there in time; an access in flight is not a hit. NaN without accesses.
    double hitRate() const;
    /// Accesses a load pays for; NaN where nothing was loaded (all resident).
    double usesPerLoad() const;
};

/// Counts what each (layer, expert) of a run did, over the selections that a filter takes.
///
/// Plain equivalent: for each cell, a scan of all selections. Here every record is looked at once, also when the run
/// grows: an update costs O(new records), so that a live heat map is redrawn from the sums alone. Measures: share of
/// assignments c_e / Σc in a layer sums to 1 (Mixtral, arXiv 2401.04088 §5, fig. 7), not to k as a share of tokens
/// would.
class ExpertUsageCounter {
public:
    ExpertUsageCounter(std::int32_t layers, std::int32_t experts, const SelectionFilter& filter = {});

    /// Adds what another tool counted and told as a sum, so that it belongs to no token. A filter excludes it.
    void addSum(LayerIndex layer, ExpertId expert, std::int64_t count);
    /// Counts what `trace` has gained since; true when any number may have changed.
    bool update(const TraceView& trace);

    std::int32_t layers() const { return m_layers; }
    std::int32_t experts() const { return m_experts; }
    const SelectionFilter& filter() const { return m_sieve.filter(); }
    const ExpertUsage& at(LayerIndex layer, ExpertId expert) const { return m_cells[cell(layer, expert)]; }
    /// Assignments counted in a layer.
    std::int64_t layerSelections(LayerIndex layer) const { return m_layerSelections[layer.index()]; }
    /// The expert's share of its layer's assignments, 0…1; NaN where the layer has none.
    double share(LayerIndex layer, ExpertId expert) const;

    std::int64_t countedTokens() const { return m_promptTokens + m_generatedTokens + unknownTokens(); }
    std::int64_t countedSelections() const { return m_counted; }
    std::int64_t seenSelections() const { return m_seen; }
    /// Of these, told as sums.
    std::int64_t summedSelections() const { return m_summed; }
    /// Selections left out because what the filter asks for was not recorded, or because they name no such expert.
    std::int64_t unplacedSelections() const { return m_unplaced; }
    /// One sentence that says what was counted: tokens by phase, assignments and their part of all, what shares are of.
    std::string counted() const;

private:
    std::int64_t unknownTokens() const { return static_cast<std::int64_t>(m_unsortedTokens.size()); }
    std::size_t cell(LayerIndex layer, ExpertId expert) const {
        return layer.index() * static_cast<std::size_t>(m_experts) + expert.index();
    }
    bool valid(LayerIndex layer, ExpertId expert) const;
    void count(const SelectionRecord& selection);
    void countAccess(const SelectionRecord& selection, bool taken);
    void countToken(TokenIndex token);
    bool sortTokens(const TraceView& trace);
    bool countLoads(const TraceView& trace);
    void enterLayerStep(StepIndex step, LayerIndex layer);
    std::size_t layerStep(StepIndex step, LayerIndex layer) const;

    std::int32_t m_layers, m_experts;
    SelectionSieve m_sieve;
    std::vector<ExpertUsage> m_cells;
    std::vector<std::int64_t> m_layerSelections;
    std::vector<bool> m_tokenCounted;
    std::vector<TokenIndex> m_unsortedTokens;      ///< counted, phase not recorded yet
    std::vector<bool> m_layerStepCounted;          ///< by layer step: has a counted selection
    std::vector<std::size_t> m_uncountedAccesses;  ///< cells accessed in the current layer step before it was counted
    std::size_t m_currentLayerStep = static_cast<std::size_t>(-1);
    std::size_t m_selectionsRead = 0, m_residencyRead = 0;
    std::int64_t m_seen = 0, m_counted = 0, m_unplaced = 0, m_summed = 0;
    std::int64_t m_promptTokens = 0, m_generatedTokens = 0;
};

}  // namespace expertscope
