// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/base/records.h"

namespace expertscope {

/// The model as a policy sees it.
struct OffloadShape {
    int layers = 0;
    int experts = 0;  ///< routed experts a layer
    int topK = 0;
    int slots = 0;  ///< experts that fit the budget

    int flat(ExpertRef ref) const { return ref.layer.value() * experts + ref.expert.value(); }
    ExpertRef ref(int flatIndex) const { return {LayerIndex(flatIndex / experts), ExpertId(flatIndex % experts)}; }
    int total() const { return layers * experts; }
};

/// What a layer's router has decided: logical facts only, never the clock.
struct RoutedLayer {
    StepIndex step;
    LayerIndex layer;
    Phase phase = Phase::Decode;
    int tokens = 0;                     ///< positions of this step
    std::span<const ExpertId> experts;  ///< [tokens, topK], by falling score
    std::span<const float> weights;     ///< [tokens, topK], as applied
};

/// What the checkpoint's predictors expect of later layers. In the live engine they are evaluated on the hidden state
/// of the layer that was just routed; in a replay they come from the recorded shadow predictions.
class Predictors {
public:
    virtual ~Predictors() = default;
    /// [tokens, topK] by falling score; empty where there is no such predictor for `target`.
    virtual std::span<const ExpertId> experts(PredictorKind kind, LayerIndex target) = 0;
};

/// By what a layer's experts are chosen.
enum class RoutingSource : std::uint8_t {
    OwnGate,  ///< the layer's own router on its own input
    PreGate,  ///< the previous layer's pre-gate on the previous layer's input
};

/// How experts are placed and moved: what to prefetch, from which prediction, in which order, and how routing is
/// changed. One object drives the live engine and the replay of a recorded run alike, so it decides by what it is told
/// and by nothing else. Every published system is a point in eight axes (predictor, look-ahead, order, cache domain,
/// eviction score, what happens on a miss, change of the output, preparation); a policy overrides the axes in which it
/// differs from the plainest one, which fetches on a miss, waits, admits, and leaves the routing alone.
class Policy {
public:
    virtual ~Policy() = default;

    /// Told once, before the first step.
    virtual void begin(const OffloadShape& shape) { m_shape = shape; }
    /// Whether every expert is made resident before the run; the budget is ignored then.
    virtual bool keepsAllResident() const { return false; }
    /// Output axis: by what the experts of `layer` are chosen.
    virtual RoutingSource routing(LayerIndex) const { return RoutingSource::OwnGate; }
    /// Predictor, look-ahead and order: appends the experts that should be brought, most wanted first; those that are
    /// present are skipped. What finds no slot now is tried again at the layer's end and then forgotten.
    virtual void prefetch(const RoutedLayer&, Predictors&, std::vector<ExpertRef>& /*wanted*/) {}

protected:
    const OffloadShape& shape() const { return m_shape; }

private:
    OffloadShape m_shape;
};

}  // namespace expertscope
