// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/analysis/selection_filter.h"

namespace expertscope {

bool SelectionFilter::limitsTokens() const {
    const SelectionFilter all;
    return fromToken > all.fromToken || toToken < all.toToken;
}

bool SelectionFilter::limitsTime() const {
    const SelectionFilter all;
    return fromTime > all.fromTime || toTime < all.toTime;
}

void SelectionSieve::update(const TraceView& trace) {
    for (; m_tokensRead < trace.tokens.size(); ++m_tokensRead) {
        const TokenRecord& token = trace.tokens[m_tokensRead];
        if (token.token.value() < 0) continue;
        if (token.token.index() >= m_phases.size()) m_phases.resize(token.token.index() + 1, -1);
        m_phases[token.token.index()] = static_cast<std::int8_t>(token.phase);
    }
    if (!m_filter.limitsTime()) return;
    for (; m_spansRead < trace.spans.size(); ++m_spansRead)
        addLayerSpan(trace.spans[m_spansRead]);
}

void SelectionSieve::addLayerSpan(const SpanRecord& span) {
    if (span.kind != SpanKind::Layer || span.step.value() < 0 || span.layer.value() < 0) return;
    if (span.step.index() >= m_layerSpans.size()) m_layerSpans.resize(span.step.index() + 1);
    std::vector<Interval>& layers = m_layerSpans[span.step.index()];
    if (span.layer.index() >= layers.size()) layers.resize(span.layer.index() + 1);
    layers[span.layer.index()] = {span.start, span.end, true};
}

SelectionSieve::Verdict SelectionSieve::judge(const SelectionRecord& selection) const {
    if (selection.token < m_filter.fromToken || selection.token >= m_filter.toToken) return Verdict::Excluded;
    if (m_filter.phase) {
        const Verdict verdict = judgePhase(selection.token);
        if (verdict != Verdict::Counted) return verdict;
    }
    return m_filter.limitsTime() ? judgeTime(selection.step, selection.layer) : Verdict::Counted;
}

SelectionSieve::Verdict SelectionSieve::judgePhase(TokenIndex token) const {
    if (token.index() >= m_phases.size()) return Verdict::NotYet;
    if (m_phases[token.index()] < 0) return Verdict::Unplaced;
    return m_phases[token.index()] == static_cast<std::int8_t>(*m_filter.phase) ? Verdict::Counted : Verdict::Excluded;
}

SelectionSieve::Verdict SelectionSieve::judgeTime(StepIndex step, LayerIndex layer) const {
    if (step.index() >= m_layerSpans.size()) return Verdict::NotYet;
    const std::vector<Interval>& layers = m_layerSpans[step.index()];
    if (layer.index() >= layers.size() || !layers[layer.index()].known) {
        // A span of a later step has come, so this one is not merely late.
        return step.index() + 1 < m_layerSpans.size() ? Verdict::Unplaced : Verdict::NotYet;
    }
    const Interval& interval = layers[layer.index()];
    return interval.start < m_filter.toTime && interval.end > m_filter.fromTime ? Verdict::Counted : Verdict::Excluded;
}

}  // namespace expertscope
