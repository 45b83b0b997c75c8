// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace expertscope {

/// The GPUs that hold a model's experts: nodes of equally many GPUs.
struct Cluster {
    std::int32_t nodes = 1;
    std::int32_t gpus = 8;  ///< of all nodes
    std::int32_t nodeOf(std::int32_t gpu) const { return gpu / (gpus / nodes); }
};

/// Puts `loads` into `packs` of equally many items each so that their sums are alike: the heaviest first, into the
/// lightest pack that has room. Gives the items of each pack in the order in which they came. O(n log n + n packs).
std::vector<std::vector<std::int32_t>> packEvenly(std::span<const double> loads, std::int32_t packs);

/// One layer's physical experts by EPLB, the balancer of DeepSeek: [replicas] which logical expert each slot holds, the
/// slots of GPU 0 first. Where the groups divide among the nodes: groups of experts are packed to nodes, the most
/// loaded experts are doubled within each node until it is full (each time the one with the greatest load a replica),
/// and the node's physical experts packed to its GPUs; else nodes and groups are passed over.
///
/// `replicas` is at least the number of experts and a multiple of the GPUs; experts divide among the groups. Throws
/// UsageError otherwise. Source: deepseek-ai/EPLB; its published example is a test.
std::vector<std::int32_t> replicateEvenly(std::span<const double> loads, std::int32_t replicas, std::int32_t groups,
                                          const Cluster& cluster);

}  // namespace expertscope
