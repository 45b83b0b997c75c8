// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <set>
#include <string>
#include <vector>

#include "profiler/replay/routing_trace.h"

namespace expertscope {

/// A policy's predictors, served from the shadow predictions that were recorded. Keeps in mind what was asked for and
/// not there, in words.
///
/// A policy that chooses a layer's experts by a predictor is never wrong about them: whatever it had expected would
/// have run. So where such a policy is replayed over a run that chose otherwise, the recorded choices stand for what
/// its predictor says; with the recorded predictions it would seem to fetch in vain what it would have used.
class ReplayPredictors final : public Predictors {
public:
    /// Without a policy predictors are those that were recorded. Both outlive this.
    explicit ReplayPredictors(const RoutingTrace& trace, const Policy* policy = nullptr)
        : m_trace(&trace), m_policy(policy) {}
    void enter(std::size_t group) { m_group = group; }
    Prediction of(PredictorKind kind, LayerIndex target) override;
    const std::set<std::string>& missing() const { return m_missing; }

private:
    bool isRoutedBy(PredictorKind kind, LayerIndex target) const;
    Prediction chosen(const Prediction& expected, LayerIndex target);

    const RoutingTrace* m_trace;
    const Policy* m_policy;
    std::size_t m_group = 0;
    std::set<std::string> m_missing;
    std::vector<ExpertId> m_chosen;  ///< [tokens, topK]
    std::vector<float> m_scores;     ///< likewise
};

}  // namespace expertscope
