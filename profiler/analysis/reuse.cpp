// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/analysis/reuse.h"

#include <algorithm>
#include <limits>

namespace expertscope {

namespace {

constexpr double kNoData = std::numeric_limits<double>::quiet_NaN();

/// Whether no request starts in (earlier, later].
bool sameRequest(TokenIndex earlier, TokenIndex later, std::span<const RequestRecord> requests) {
    const auto startsAfter = [](TokenIndex token, const RequestRecord& request) { return token < request.firstToken; };
    const auto next = std::upper_bound(requests.begin(), requests.end(), earlier, startsAfter);
    return next == requests.end() || next->firstToken > later;
}

}  // namespace

ReuseCounter::ReuseCounter(std::int32_t layers, std::int32_t experts, std::int32_t topK, const SelectionFilter& filter)
    : m_layers(layers),
      m_experts(experts),
      m_topK(topK),
      m_sieve(filter),
      m_distances(static_cast<std::size_t>(layers) * static_cast<std::size_t>(experts)),
      m_layerStates(static_cast<std::size_t>(layers)) {}

bool ReuseCounter::update(const TraceView& trace) {
    m_sieve.update(trace);
    const std::size_t before = m_selectionsRead;
    for (; m_selectionsRead < trace.selections.size(); ++m_selectionsRead) {
        const SelectionRecord& selection = trace.selections[m_selectionsRead];
        const bool sane = selection.layer.value() >= 0 && selection.layer.value() < m_layers &&
                          selection.expert.value() >= 0 && selection.expert.value() < m_experts &&
                          selection.token.value() >= 0 && selection.step.value() >= 0;
        if (!sane) continue;
        const auto verdict = m_sieve.judge(selection);
        if (verdict == SelectionSieve::Verdict::NotYet) break;
        if (verdict == SelectionSieve::Verdict::Counted) count(selection, trace.requests);
    }
    return m_selectionsRead != before;
}

void ReuseCounter::count(const SelectionRecord& selection, std::span<const RequestRecord> requests) {
    const std::size_t layer = selection.layer.index();
    Distances& reuse = m_distances[layer * static_cast<std::size_t>(m_experts) + selection.expert.index()];
    if (reuse.lastUse.value() >= 0 && selection.token > reuse.lastUse) {
        ++reuse.histogram[selection.token.value() - reuse.lastUse.value()];
        ++reuse.count;
    }
    reuse.lastUse = std::max(reuse.lastUse, selection.token);

    LayerState& state = m_layerStates[layer];
    TokenSet& set = state.recent[selection.token.index() % kWindow];
    if (set.token != selection.token) {
        set.token = selection.token;
        set.experts.clear();
    }
    set.experts.push_back(selection.expert);
    if (static_cast<std::int32_t>(set.experts.size()) == m_topK) countOverlaps(state, set, requests);
}

void ReuseCounter::countOverlaps(LayerState& layer, const TokenSet& now, std::span<const RequestRecord> requests) {
    for (std::size_t lag = 0; lag < kLags.size(); ++lag) {
        const TokenIndex earlier{now.token.value() - kLags[lag]};
        if (earlier.value() < 0) continue;
        const TokenSet& before = layer.recent[earlier.index() % kWindow];
        const bool complete = before.token == earlier && static_cast<std::int32_t>(before.experts.size()) == m_topK;
        if (!complete || !sameRequest(earlier, now.token, requests)) continue;
        ++layer.pairs[lag];
        layer.shared[lag] += std::ranges::count_if(now.experts, [&](ExpertId expert) {
            return std::ranges::find(before.experts, expert) != before.experts.end();
        });
    }
}

double ReuseCounter::medianDistance(LayerIndex layer, ExpertId expert) const {
    const Distances& reuse = m_distances[layer.index() * static_cast<std::size_t>(m_experts) + expert.index()];
    if (reuse.count == 0) return kNoData;
    const std::int64_t lowRank = (reuse.count - 1) / 2, highRank = reuse.count / 2;
    std::int64_t passed = 0;
    std::int32_t low = 0;
    for (const auto& [distance, count] : reuse.histogram) {
        if (passed <= lowRank && lowRank < passed + count) low = distance;
        passed += count;
        if (highRank < passed) return 0.5 * (static_cast<double>(low) + static_cast<double>(distance));
    }
    return kNoData;
}

std::int64_t ReuseCounter::distances(LayerIndex layer, ExpertId expert) const {
    return m_distances[layer.index() * static_cast<std::size_t>(m_experts) + expert.index()].count;
}

std::int64_t ReuseCounter::pairs(LayerIndex layer, std::size_t lag) const {
    return m_layerStates[layer.index()].pairs[lag];
}

double ReuseCounter::overlap(LayerIndex layer, std::size_t lag) const {
    const LayerState& state = m_layerStates[layer.index()];
    if (state.pairs[lag] == 0 || m_topK <= 0) return kNoData;
    return static_cast<double>(state.shared[lag]) / (static_cast<double>(state.pairs[lag]) * m_topK);
}

double ReuseCounter::randomOverlap() const { return m_experts > 0 ? static_cast<double>(m_topK) / m_experts : kNoData; }

}  // namespace expertscope
