// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <span>

#include "engine/base/deep_aggregates.h"
#include "engine/base/units.h"

namespace expertscope {

/// What all experts of a layer made of a few tokens. An expert that a token chose has a weight there, NaN elsewhere.
struct DeepBlock {
    int tokens = 0, experts = 0, hidden = 0;
    std::span<const std::int32_t> index;  ///< [tokens] in the run
    std::span<const float> logits;        ///< [tokens, E] of the router
    std::span<const float> weights;       ///< [tokens, E] as applied; NaN: not chosen
    std::span<const float> outputs;       ///< [tokens, E, H] before weighting
};

/// A block with what it was made of: the raw vectors of a deep capture.
struct DeepRawBlock {
    LayerIndex layer;
    DeepBlock made;
    std::span<const float> inputs;  ///< [tokens, H] the layer's true hidden state, as its router and experts get it
    std::span<const float> after;   ///< [tokens, H] the residual stream after the layer
    std::span<const float> activations;  ///< [tokens, E, I] σ(gate row · x), before the product with the up row
};

/// What the raw vectors of one token in one layer take: its index, two vectors of H, two of E, E outputs of H and
/// activations of I `neurons`.
inline Bytes deepRawBytes(std::int64_t experts, std::int64_t hidden, std::int64_t neurons) {
    return Bytes((1 + 2 * hidden + 2 * experts + experts * (hidden + neurons)) * 4);
}

/// Is told what a deep capture gives while the run goes on, on the compute thread. What it throws ends the run.
class DeepSink {
public:
    virtual ~DeepSink() = default;
    /// The raw vectors, where DeepCaptureOptions::raw asks for them: every token taken once in each layer, in order.
    /// They last as long as the call.
    virtual void onDeepVectors(const DeepRawBlock& block) = 0;
    /// All sums so far, every few seconds.
    virtual void onDeepSums(const DeepAggregates& deep) = 0;
};

}  // namespace expertscope
