// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <set>
#include <string>

#include "profiler/replay/routing_trace.h"

namespace expertscope {

/// A policy's predictors, served from the shadow predictions that were recorded. Keeps in mind what was asked for and
/// not there, in words.
class ReplayPredictors final : public Predictors {
public:
    explicit ReplayPredictors(const RoutingTrace& trace) : m_trace(&trace) {}
    void enter(std::size_t group) { m_group = group; }
    Prediction of(PredictorKind kind, LayerIndex target) override;
    const std::set<std::string>& missing() const { return m_missing; }

private:
    const RoutingTrace* m_trace;
    std::size_t m_group = 0;
    std::set<std::string> m_missing;
};

}  // namespace expertscope
