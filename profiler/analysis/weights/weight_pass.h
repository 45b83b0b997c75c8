// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <functional>

#include "profiler/analysis/weights/expert_weights.h"

namespace expertscope {

class ThreadPool;

/// Told how much of a layer is done, 0…1, by the calling thread; may throw to end the work. May be empty.
using LayerProgress = std::function<void(double)>;

/// Reads every matrix of a layer's experts once and gives the similarities of whole matrices and of averaged neurons,
/// and the norms. Memory: a few MiB a thread and the sums; the matrices are never held whole.
///
/// Plain equivalent: cos(vec W_a, vec W_b), and cos(mean neuron of a, mean neuron of b), for every pair. O(n²·I·H) for
/// the first, O(n·I·H) for the second. The result does not depend on the number of threads: a layer is cut into slices
/// by its shape alone, and their sums are added in order. Source: Look-into-MoEs (arXiv 2406.18219, §4.1 and app. D).
LayerExpertWeights readLayerWeights(const ExpertMatrices& weights, LayerIndex layer, ThreadPool& pool,
                                    const LayerProgress& progress);

/// The router's part alone, which is small.
RouterWeights readRouterWeights(const ExpertMatrices& weights, LayerIndex layer);

}  // namespace expertscope
