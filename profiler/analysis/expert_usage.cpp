// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/analysis/expert_usage.h"

#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "profiler/analysis/number_text.h"

namespace expertscope {

namespace {

double ratio(double part, std::int64_t whole) {
    return whole > 0 ? part / static_cast<double>(whole) : std::numeric_limits<double>::quiet_NaN();
}

}  // namespace

double ExpertUsage::meanWeight() const { return ratio(weightSum, selections - summed); }
double ExpertUsage::meanNorm() const { return ratio(normSum, normCount); }
double ExpertUsage::hitRate() const { return ratio(static_cast<double>(hits), accesses); }
double ExpertUsage::usesPerLoad() const { return ratio(static_cast<double>(loadAccesses), loads); }

ExpertUsageCounter::ExpertUsageCounter(std::int32_t layers, std::int32_t experts, const SelectionFilter& filter)
    : m_layers(layers),
      m_experts(experts),
      m_sieve(filter),
      m_cells(static_cast<std::size_t>(layers) * static_cast<std::size_t>(experts)),
      m_layerSelections(static_cast<std::size_t>(layers)) {}

bool ExpertUsageCounter::valid(LayerIndex layer, ExpertId expert) const {
    return layer.value() >= 0 && layer.value() < m_layers && expert.value() >= 0 && expert.value() < m_experts;
}

double ExpertUsageCounter::share(LayerIndex layer, ExpertId expert) const {
    return ratio(static_cast<double>(at(layer, expert).selections), layerSelections(layer));
}

std::size_t ExpertUsageCounter::layerStep(StepIndex step, LayerIndex layer) const {
    return step.index() * static_cast<std::size_t>(m_layers) + layer.index();
}

void ExpertUsageCounter::addSum(LayerIndex layer, ExpertId expert, std::int64_t count) {
    m_seen += count;
    m_summed += count;
    const SelectionFilter& filter = m_sieve.filter();
    if (!valid(layer, expert) || filter.limitsTokens() || filter.limitsTime() || filter.phase) {
        m_unplaced += count;
        return;
    }
    ExpertUsage& usage = m_cells[cell(layer, expert)];
    usage.selections += count;
    usage.summed += count;
    m_layerSelections[layer.index()] += count;
    m_counted += count;
}

bool ExpertUsageCounter::update(const TraceView& trace) {
    m_sieve.update(trace);
    const std::int64_t before = m_seen;
    for (; m_selectionsRead < trace.selections.size(); ++m_selectionsRead) {
        const SelectionRecord& selection = trace.selections[m_selectionsRead];
        const bool sane =
            valid(selection.layer, selection.expert) && selection.token.value() >= 0 && selection.step.value() >= 0;
        const auto verdict = sane ? m_sieve.judge(selection) : SelectionSieve::Verdict::Unplaced;
        if (verdict == SelectionSieve::Verdict::NotYet) break;
        ++m_seen;
        if (verdict == SelectionSieve::Verdict::Unplaced) ++m_unplaced;
        if (!sane) continue;
        const bool taken = verdict == SelectionSieve::Verdict::Counted;
        enterLayerStep(selection.step, selection.layer);
        if (taken) {
            count(selection);
            countToken(selection.token);
        }
        countAccess(selection, taken);
    }
    const bool sorted = sortTokens(trace);
    const bool loaded = countLoads(trace);
    return loaded || sorted || m_seen != before;
}

void ExpertUsageCounter::enterLayerStep(StepIndex step, LayerIndex layer) {
    const std::size_t current = layerStep(step, layer);
    if (current == m_currentLayerStep) return;
    m_currentLayerStep = current;
    m_uncountedAccesses.clear();
    if (current >= m_layerStepCounted.size()) m_layerStepCounted.resize(current + 1, false);
}

void ExpertUsageCounter::count(const SelectionRecord& selection) {
    ExpertUsage& usage = m_cells[cell(selection.layer, selection.expert)];
    ++m_counted;
    ++m_layerSelections[selection.layer.index()];
    ++usage.selections;
    usage.weightSum += static_cast<double>(selection.weight);
    if (std::isfinite(selection.norm)) {
        ++usage.normCount;
        usage.normSum += static_cast<double>(selection.norm);
    }
    if (m_layerStepCounted[m_currentLayerStep]) return;
    m_layerStepCounted[m_currentLayerStep] = true;
    for (const std::size_t index : m_uncountedAccesses)
        ++m_cells[index].loadAccesses;
    m_uncountedAccesses.clear();
}

void ExpertUsageCounter::countAccess(const SelectionRecord& selection, bool taken) {
    if (!selection.firstUse) return;
    const std::size_t index = cell(selection.layer, selection.expert);
    ExpertUsage& usage = m_cells[index];
    if (m_layerStepCounted[m_currentLayerStep])
        ++usage.loadAccesses;
    else
        m_uncountedAccesses.push_back(index);
    if (!taken) return;
    ++usage.accesses;
    switch (selection.outcome) {
        case Outcome::Hit:
            ++usage.hits;
            break;
        case Outcome::InFlight:
            ++usage.inFlight;
            break;
        case Outcome::Miss:
            ++usage.misses;
            break;
    }
}

void ExpertUsageCounter::countToken(TokenIndex token) {
    if (token.index() >= m_tokenCounted.size()) m_tokenCounted.resize(token.index() + 1, false);
    if (m_tokenCounted[token.index()]) return;
    m_tokenCounted[token.index()] = true;
    m_unsortedTokens.push_back(token);
}

bool ExpertUsageCounter::sortTokens(const TraceView& trace) {
    const auto known = [&](TokenIndex token) {
        if (token.index() >= trace.tokens.size() || trace.tokens[token.index()].token != token) return false;
        ++(trace.tokens[token.index()].phase == Phase::Prefill ? m_promptTokens : m_generatedTokens);
        return true;
    };
    return std::erase_if(m_unsortedTokens, known) > 0;
}

bool ExpertUsageCounter::countLoads(const TraceView& trace) {
    bool changed = false;
    for (; m_residencyRead < trace.residency.size(); ++m_residencyRead) {
        const ResidencyRecord& record = trace.residency[m_residencyRead];
        const bool load = record.change == ResidencyChange::Admit &&
                          (record.reason == ResidencyReason::Demand || record.reason == ResidencyReason::Prefetch);
        if (!load || record.step.value() < 0 || !valid(record.subject.layer, record.subject.expert)) continue;
        const std::size_t at = layerStep(record.step, record.subject.layer);
        // Whether its layer step counts is decided by selections that may still be on their way.
        const bool decided = at < m_layerStepCounted.size() && (at != m_currentLayerStep || m_layerStepCounted[at]);
        if (!decided) break;
        if (!m_layerStepCounted[at]) continue;
        ++m_cells[cell(record.subject.layer, record.subject.expert)].loads;
        changed = true;
    }
    return changed;
}

std::string ExpertUsageCounter::counted() const {
    if (m_counted == 0)
        return m_seen == 0          ? "No selections are recorded yet."
               : m_summed == m_seen ? "Another tool told sums, without tokens: none can be placed in what is selected."
                                    : "No selection lies in what is selected.";
    if (m_summed == m_seen)
        return fmt::format(
            "{} assignments that another tool told as sums, without tokens, weights and outcomes; "
            "shares are of a layer's assignments and sum to 100 %.",
            groupedNumber(m_counted));
    std::string text = fmt::format("{} tokens ({} prompt, {} generated", groupedNumber(countedTokens()),
                                   groupedNumber(m_promptTokens), groupedNumber(m_generatedTokens));
    if (unknownTokens() > 0) text += fmt::format(", {} of unknown phase", groupedNumber(unknownTokens()));
    text += fmt::format("), {} assignments", groupedNumber(m_counted));
    if (m_counted < m_seen)
        text += fmt::format(" ({:.3g} % of {})", 100.0 * static_cast<double>(m_counted) / static_cast<double>(m_seen),
                            groupedNumber(m_seen));
    text += "; shares are of a layer's assignments and sum to 100 %.";
    if (m_unplaced > 0)
        text += fmt::format(" {} selections could not be placed and are left out.", groupedNumber(m_unplaced));
    return text;
}

}  // namespace expertscope
