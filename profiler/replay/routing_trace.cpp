// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/replay/routing_trace.h"

#include <algorithm>
#include <cmath>
#include <tuple>

#include <fmt/format.h>

#include "engine/base/error.h"

namespace expertscope {

bool RoutingTrace::equalSizes() const {
    return std::ranges::adjacent_find(m_layerBytes, std::not_equal_to{}) == m_layerBytes.end();
}

std::span<const std::int32_t> RoutingTrace::accesses(std::size_t group) const {
    const std::uint32_t first = m_groups[group].firstAccess;
    return {m_accesses.data() + first, m_groups[group + 1].firstAccess - first};
}

std::span<const std::int32_t> RoutingTrace::lastUses(std::size_t group) const {
    const std::uint32_t first = m_groups[group].firstPromotion, count = m_groups[group + 1].firstPromotion - first;
    // A token chooses an expert once, so the order of a single token's uses is that of its accesses.
    return count == 0 ? accesses(group) : std::span<const std::int32_t>(m_promotions.data() + first, count);
}

RoutedLayer RoutingTrace::routed(std::size_t group) const {
    const Group& g = m_groups[group];
    const std::size_t count = m_groups[group + 1].firstSelection - g.firstSelection;
    const Step& step = m_steps[static_cast<std::size_t>(g.step)];
    return {.step = step.index,
            .firstToken = g.firstToken,
            .layer = g.layer,
            .phase = step.phase,
            .tokens = g.tokens,
            .experts = {m_selections.data() + g.firstSelection, count},
            .weights = {m_weights.data() + g.firstSelection, count}};
}

Prediction RoutingTrace::prediction(std::size_t group, PredictorKind kind, LayerIndex target) const {
    for (std::uint32_t i = m_groups[group].firstPrediction; i < m_groups[group + 1].firstPrediction; ++i) {
        const PredictionEntry& entry = m_predictions[i];
        if (entry.kind != kind || entry.target != target) continue;
        return {.width = entry.width,
                .experts = {m_predicted.data() + entry.first, entry.count},
                .scores = {m_predictedScores.data() + entry.first, entry.count}};
    }
    return {};
}

RoutingTraceBuilder::RoutingTraceBuilder(const ModelFacts& model, std::vector<RequestRecord> requests)
    : m_requests(std::move(requests)) {
    if (model.layers < 1 || model.experts < 1)
        throw BadInputError(
            fmt::format("The run of '{}' has no routed experts: there is nothing to replay.", model.name));
    m_trace.m_model = model;
    m_trace.m_layerBytes.assign(static_cast<std::size_t>(model.layers), model.expertBytes.count());
    for (std::size_t layer = 0; layer < model.layerExpertBytes.size() && layer < m_trace.m_layerBytes.size(); ++layer)
        m_trace.m_layerBytes[layer] = model.layerExpertBytes[layer].count();
    m_usedIn.assign(static_cast<std::size_t>(model.experts), -1);
    m_lastUse.assign(static_cast<std::size_t>(model.experts), -1);
}

void RoutingTraceBuilder::beginStep(const SelectionRecord& selection) {
    auto& steps = m_trace.m_steps;
    if (!steps.empty() && selection.step <= steps.back().index)
        throw BadInputError(
            fmt::format("The recorded selections go back from step {} to step {}: the session is damaged.",
                        steps.back().index.value(), selection.step.value()));
    while (m_request + 1 < m_requests.size() && m_requests[m_request + 1].firstToken <= selection.token)
        ++m_request;
    RoutingTrace::Step step;
    step.index = selection.step;
    step.firstGroup = static_cast<std::uint32_t>(m_trace.m_groups.size());
    if (!m_requests.empty()) {
        const RequestRecord& request = m_requests[m_request];
        step.request = request.request;
        const bool prompt = selection.token.value() < request.firstToken.value() + request.promptTokens;
        step.phase = prompt ? Phase::Prefill : Phase::Decode;
    }
    steps.push_back(step);
}

void RoutingTraceBuilder::beginGroup(const SelectionRecord& selection) {
    if (selection.layer.value() < 0 || selection.layer.value() >= m_trace.layers())
        throw BadInputError(fmt::format("A recorded selection is of layer {}, and the model has {} layers.",
                                        selection.layer.value(), m_trace.layers()));
    auto& steps = m_trace.m_steps;
    if (steps.empty() || steps.back().index != selection.step) beginStep(selection);
    RoutingTrace::Group group;
    group.step = static_cast<std::int32_t>(steps.size()) - 1;
    group.layer = selection.layer;
    group.firstToken = selection.token;
    group.firstAccess = static_cast<std::uint32_t>(m_trace.m_accesses.size());
    group.firstSelection = static_cast<std::uint32_t>(m_trace.m_selections.size());
    group.firstPromotion = static_cast<std::uint32_t>(m_trace.m_promotions.size());
    m_trace.m_groups.push_back(group);
    ++steps.back().groups;
    m_open = true;
    m_lastToken = TokenIndex(-1);
}

void RoutingTraceBuilder::endGroup() {
    if (!m_open) return;
    m_open = false;
    RoutingTrace::Group& group = m_trace.m_groups.back();
    RoutingTrace::Step& step = m_trace.m_steps.back();
    step.tokens = std::max(step.tokens, group.tokens);
    if (group.tokens < 2) return;
    auto& promotions = m_trace.m_promotions;
    promotions.insert(promotions.end(), m_trace.m_accesses.begin() + group.firstAccess, m_trace.m_accesses.end());
    std::ranges::sort(promotions.begin() + group.firstPromotion, promotions.end(), {},
                      [&](std::int32_t flat) { return m_lastUse[static_cast<std::size_t>(flat % m_trace.experts())]; });
}

void RoutingTraceBuilder::add(std::span<const SelectionRecord> selections) {
    for (const SelectionRecord& selection : selections) {
        const bool same = m_open && m_trace.m_steps.back().index == selection.step &&
                          m_trace.m_groups.back().layer == selection.layer;
        if (!same) {
            endGroup();
            beginGroup(selection);
        }
        if (selection.token != m_lastToken) {
            ++m_trace.m_groups.back().tokens;
            m_lastToken = selection.token;
        }
        const std::int32_t expert = selection.expert.value();
        if (expert < 0 || expert >= m_trace.experts())
            throw BadInputError(fmt::format("A recorded selection is of expert {}, and a layer has {} experts.", expert,
                                            m_trace.experts()));
        const bool dropped = selection.action == SelectionAction::Dropped;
        m_lastUse[selection.expert.index()] = static_cast<std::int32_t>(m_trace.m_selections.size());
        m_trace.m_selections.push_back(dropped ? ExpertId(-1) : selection.expert);
        m_trace.m_weights.push_back(std::isfinite(selection.weight) ? selection.weight : 0.0F);
        const auto group = static_cast<std::int32_t>(m_trace.m_groups.size());
        if (dropped || m_usedIn[selection.expert.index()] == group) continue;
        m_usedIn[selection.expert.index()] = group;
        m_trace.m_accesses.push_back(selection.layer.value() * m_trace.experts() + expert);
    }
}

void RoutingTraceBuilder::add(std::span<const PredictionRecord> predictions) {
    for (const PredictionRecord& p : predictions) {
        const bool inModel = p.expert.value() >= 0 && p.expert.value() < m_trace.experts();
        // What a policy wanted is no input of another one.
        if (p.predictor == PredictorKind::Policy || !inModel) continue;
        const bool same = !m_loose.empty() && m_loose.back().step == p.step.value() &&
                          m_loose.back().from == p.fromLayer && m_loose.back().entry.target == p.targetLayer &&
                          m_loose.back().entry.kind == p.predictor;
        if (!same) {
            LoosePrediction& loose = m_loose.emplace_back();
            loose.step = p.step.value();
            loose.from = p.fromLayer;
            loose.lastToken = TokenIndex(-1);
            loose.entry.kind = p.predictor;
            loose.entry.target = p.targetLayer;
            loose.entry.first = static_cast<std::uint32_t>(m_trace.m_predicted.size());
        }
        LoosePrediction& loose = m_loose.back();
        if (loose.lastToken != p.token) ++loose.tokens;
        loose.lastToken = p.token;
        loose.entry.width = std::max(loose.entry.width, p.rank + 1);
        ++loose.entry.count;
        m_trace.m_predicted.push_back(p.expert);
        m_trace.m_predictedScores.push_back(p.score);
    }
}

/// Predictions and selections are recorded in streams of their own; predictions of generated tokens some steps later.
void RoutingTraceBuilder::attachPredictions() {
    auto& groups = m_trace.m_groups;
    std::size_t next = 0;
    const auto key = [](const LoosePrediction& loose) { return std::tuple(loose.step, loose.from); };
    if (!std::ranges::is_sorted(m_loose, {}, key)) std::ranges::stable_sort(m_loose, {}, key);
    for (std::size_t g = 0; g + 1 < groups.size(); ++g) {
        groups[g].firstPrediction = static_cast<std::uint32_t>(m_trace.m_predictions.size());
        const std::tuple here(m_trace.m_steps[static_cast<std::size_t>(groups[g].step)].index.value(), groups[g].layer);
        for (; next < m_loose.size() && key(m_loose[next]) <= here; ++next) {
            const LoosePrediction& loose = m_loose[next];
            const bool whole = loose.tokens == groups[g].tokens &&
                               loose.entry.count == static_cast<std::uint32_t>(loose.tokens * loose.entry.width);
            if (key(loose) == here && whole)
                m_trace.m_predictions.push_back(loose.entry);
            else
                ++m_trace.m_incomplete;
        }
    }
    groups.back().firstPrediction = static_cast<std::uint32_t>(m_trace.m_predictions.size());
    m_loose = {};
}

RoutingTrace RoutingTraceBuilder::finish() {
    endGroup();
    RoutingTrace::Group end;
    end.firstAccess = static_cast<std::uint32_t>(m_trace.m_accesses.size());
    end.firstSelection = static_cast<std::uint32_t>(m_trace.m_selections.size());
    end.firstPromotion = static_cast<std::uint32_t>(m_trace.m_promotions.size());
    m_trace.m_groups.push_back(end);
    attachPredictions();
    for (RoutingTrace::Step& step : m_trace.m_steps) {
        if (m_requests.empty()) step.phase = step.tokens > 1 ? Phase::Prefill : Phase::Decode;
        if (step.phase == Phase::Decode) m_trace.m_decodeTokens += step.tokens;
    }
    return std::move(m_trace);
}

}  // namespace expertscope
