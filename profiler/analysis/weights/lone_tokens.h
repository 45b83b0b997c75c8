// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "profiler/analysis/weights/expert_weights.h"

namespace expertscope {

class ThreadPool;

/// What the router of one layer saw and chose. A row is a token, or a sub-token (all of a token's one after another)
/// where the model splits tokens around its experts.
struct LoneRouting {
    LayerIndex layer;
    std::size_t width = 0;                 ///< elements of a row
    std::span<const float> inputs;         ///< [rows, width] of the router
    std::span<const std::int32_t> chosen;  ///< [rows, k] by falling probability; −1 where a value is no finite number
};

/// `count` ids of a vocabulary, evenly drawn; all of them where it has fewer.
std::vector<std::int32_t> drawnTokens(std::int32_t vocabulary, int count);

/// Runs tokens through the layers up to `last`, each as a prompt of its own, and gives every layer's routing to `use`
/// in order. It needs no run and no text, and is exact: in a context of one token attention is its value projection,
/// since the softmax of one score is 1. Tokens of which a value is not finite are −1 from that layer on. Memory: the
/// hidden states, one layer's attention and one expert a thread. `use` may throw to end the work.
void routeLoneTokens(const ExpertMatrices& weights, std::span<const std::int32_t> ids, LayerIndex last,
                     ThreadPool& pool, const std::function<void(const LoneRouting&)>& use);

}  // namespace expertscope
