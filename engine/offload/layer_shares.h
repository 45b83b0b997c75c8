// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <vector>

namespace expertscope {

/// What AdapMoE (ICCAD'24) knows of a layer when it divides the cache.
struct LayerDemand {
    std::vector<double> runs;  ///< [topK] share of tokens that run 1, 2, … experts
    double accuracy = 0;       ///< share of the layer's experts that its prefetch foretells
};

/// Experts that a token of the layer waits for when `cached` of its `experts` are kept: of n experts that run, m are
/// missing with the probability of drawing them blindly, and the prefetch, which brings one, was right `accuracy` of
/// the times: Σ_n runs(n) · Σ_{m ≥ 1} P(m | n) · (m − accuracy). With two experts a token it is the published t·(1 −
/// k/E)(1 − a) + (1 − t)·[2·P2·(1 − a) + P2·a + P1·(1 − a)].
double expectedLoads(const LayerDemand& demand, int experts, int cached);

/// How many of `slots` each layer gets (1 to `experts`) so that the sum of expectedLoads is least, by dynamic
/// programming over layers and slots, O(layers · slots · experts); of equally good divisions an even one. Empty where
/// there are fewer slots than layers.
std::vector<int> sharesByDemand(const std::vector<LayerDemand>& layers, int experts, int slots);

}  // namespace expertscope
