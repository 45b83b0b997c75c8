// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "profiler/analysis/analysis_catalogue.h"
#include "profiler/analysis/routing/expert_replication.h"

namespace expertscope {

/// Which logical expert each physical slot of each layer holds: [layers, slots], slot s on GPU s / (slots / gpus).
struct Placement {
    std::string name;
    std::vector<std::vector<std::int32_t>> slots;
};

/// Experts in order, equally many a GPU; as many slots as the experts, rounded up to the GPUs (−1: empty).
Placement contiguousPlacement(const RunRouting& routing, const Cluster& cluster);
/// Every layer's experts dealt out at random: the baseline.
Placement randomPlacement(const RunRouting& routing, const Cluster& cluster, std::uint64_t seed);
/// EPLB on the run's own loads (replicateEvenly()).
Placement replicatedPlacement(const RunRouting& routing, const Cluster& cluster, std::int32_t replicas,
                              std::int32_t groups);
/// ExFlow's aim: experts that follow one another in consecutive layers (first choices) lie together, equally many a
/// GPU. A hop to another GPU costs 1, to another node 2. ExFlow solves an integer program; here every layer is filled
/// greedily by affinity to the layer before, and then experts swap places, layer by layer in turn and given both
/// neighbours, until no swap saves anything (at most 4 rounds). O(rounds · layers · E² · GPUs).
Placement localityPlacement(const RunRouting& routing, const Cluster& cluster);

/// What a placement comes to on the run's own routing, by layer. A replicated expert's tokens split evenly over its
/// replicas.
struct PlacementCost {
    LayerIndex layer;
    double imbalance = 0;                        ///< (max − mean) / mean of the GPUs' assignments
    double balancedness = 0;                     ///< mean / max, as serving engines log it
    double gpusPerToken = 0, nodesPerToken = 0;  ///< that a token's choices lie on, expected
    /// Of first choices, on the way from the layer before to this one: parts that stay, that change the GPU within the
    /// node, that change the node. NaN for the first layer.
    double sameGpu = 0, sameNode = 0, crossNode = 0;
};
std::vector<PlacementCost> placementCosts(const RunRouting& routing, const Cluster& cluster,
                                          const Placement& placement);

AnalysisInfo placementAnalysis();
/// The slots themselves.
AnalysisInfo placementMapAnalysis();

}  // namespace expertscope
