// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/replay/replay_predictors.h"

#include <algorithm>

#include <fmt/format.h>

namespace expertscope {
namespace {

/// Whether both name the same experts, in whatever order.
bool sameExperts(std::span<const ExpertId> a, std::span<const ExpertId> b) {
    return a.size() == b.size() && std::ranges::is_permutation(a, b);
}

}  // namespace

bool ReplayPredictors::isRoutedBy(PredictorKind kind, LayerIndex target) const {
    if (!m_policy) return false;
    using Kind = RoutingSource::Kind;
    const RoutingSource source = m_policy->routing(target);
    const bool same = (source.kind == Kind::PreGate && kind == PredictorKind::PreGate) ||
                      (source.kind == Kind::EarlyInput && kind == PredictorKind::NextGate);
    return same && source.ahead == target.value() - m_trace->groups()[m_group].layer.value();
}

/// What the step's layer `target` ran, and where that is what was expected, the expectation itself: its order and
/// scores are those that the live policy goes by.
Prediction ReplayPredictors::chosen(const Prediction& expected, LayerIndex target) {
    const auto& groups = m_trace->groups();
    const std::size_t group =
        m_group + static_cast<std::size_t>(target.value() - groups[m_group].layer.value());  // a step's follow by layer
    if (group >= groups.size() || groups[group].step != groups[m_group].step || groups[group].layer != target)
        return expected;
    const RoutedLayer routed = m_trace->routed(group);
    const auto width = routed.experts.size() / static_cast<std::size_t>(std::max(1, routed.tokens));
    bool asExpected = static_cast<std::size_t>(expected.width) == width;
    for (std::size_t at = 0; asExpected && at < routed.experts.size(); at += width)
        asExpected = at + width <= expected.experts.size() &&
                     sameExperts(routed.experts.subspan(at, width), expected.experts.subspan(at, width));
    const auto first = std::ranges::find_if(routed.experts, [](ExpertId expert) { return expert.value() >= 0; });
    if (asExpected || first == routed.experts.end()) return expected;
    m_chosen.assign(routed.experts.begin(), routed.experts.end());
    m_scores.assign(routed.weights.begin(), routed.weights.end());
    for (ExpertId& expert : m_chosen)
        if (expert.value() < 0) expert = *first;  // dropped: a name that is there already
    return {.width = static_cast<int>(width), .experts = m_chosen, .scores = m_scores};
}

Prediction ReplayPredictors::of(PredictorKind kind, LayerIndex target) {
    const Prediction prediction = m_trace->prediction(m_group, kind, target);
    if (!prediction.empty()) return isRoutedBy(kind, target) ? chosen(prediction, target) : prediction;
    // The live engine has nothing there either: beyond the last layer, or further ahead than its predictors look.
    const int ahead = target.value() - m_trace->groups()[m_group].layer.value();
    const bool exists =
        target.value() < m_trace->layers() && (kind == PredictorKind::OwnGate    ? ahead == 0
                                               : kind == PredictorKind::NextGate ? ahead >= 1 && ahead <= 3
                                                                                 : ahead == 1);
    if (!exists) return prediction;
    m_missing.insert(kind == PredictorKind::OwnGate   ? std::string("the own gate's ranking")
                     : kind == PredictorKind::PreGate ? std::string("predictions of the pre-gates")
                                                      : fmt::format("predictions of the next gates, {} ahead", ahead));
    return prediction;
}

}  // namespace expertscope
