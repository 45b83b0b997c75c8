// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/base/records.h"
#include "engine/model/checkpoint.h"

namespace expertscope {

/// A model that is asked what it would do with less: without some experts, or with fewer of them a token.
struct RoutingLimits {
    /// Never chosen: a token's probabilities are shared among the others, as if the router had no rows for them.
    std::vector<ExpertRef> removed;
    /// A choice that would weigh less is dropped, but never a token's best; the others' weights then sum to what they
    /// all summed to where the model normalises them, else stay. 0: none.
    float leastWeight = 0;
    bool any() const { return !removed.empty() || leastWeight > 0; }
};

/// Applies RoutingLimits to what layers choose by and have chosen.
class RoutingLimiter {
public:
    /// Throws UsageError for an expert that the model lacks, and where a layer would keep fewer than it chooses.
    RoutingLimiter(const ModelConfig& config, const RoutingLimits& limits);

    /// Makes the removed experts of a layer the least likely. logits [tokens, E].
    void hide(LayerIndex layer, int tokens, std::span<float> logits) const;
    bool drops() const { return m_leastWeight > 0; }
    /// Drops what weighs too little: expert −1, weight 0. All [tokens, k], by falling weight.
    void drop(std::span<ExpertId> chosen, std::span<float> weights, std::span<SelectionAction> actions) const;

private:
    std::size_t m_experts, m_topK;
    bool m_normalised;
    float m_leastWeight;
    std::vector<std::vector<std::int32_t>> m_removed;  ///< by layer
};

}  // namespace expertscope
