// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <vector>

#include "profiler/analysis/analysis_catalogue.h"

namespace expertscope {

/// How much of a token's choice in one layer was also the choice `lag` tokens before, in the same request.
struct LayerOverlap {
    LayerIndex layer;
    std::int32_t lag = 0;
    std::int64_t pairs = 0;     ///< of tokens whose choices are all known
    double overlap = 0;         ///< mean |S_t ∩ S_{t−lag}| / k, 0…1; NaN without pairs
    double random = 0;          ///< of independent uniform choices: k / E
    double popularityOnly = 0;  ///< of independent choices that favour the experts as this layer does: Σ p_e² / k
};

/// By layer, then lag: 1, 2, 4 … up to `longestLag`. O(assignments · lags). Plain equivalent: intersect the two sets of
/// every pair. Source: BigMoeOnEdge route-analyze; the lags as there and on.
std::vector<LayerOverlap> overlapsOf(const RunRouting& routing, std::int32_t longestLag = 64);

/// How often the next token of a request has the same choice in a layer.
struct LayerRepetition {
    LayerIndex layer;
    std::int64_t firstPairs = 0, anyPairs = 0;  ///< whose first choice is known; whose choices are all known
    double first = 0;                           ///< the same first choice
    double any = 0;                             ///< at least one expert in common
    double randomFirst = 0;                     ///< 1 / E
    double randomAny = 0;                       ///< 1 − C(E − k, k) / C(E, k)
};

/// O(assignments). Source: Mixtral (arXiv 2401.04088), table 5, with its baselines.
std::vector<LayerRepetition> repetitionOf(const RunRouting& routing);

/// 1 − C(E − k, k) / C(E, k): two independent uniform choices of k have an expert in common.
double randomAnyOverlap(std::int32_t experts, std::int32_t choices);

AnalysisInfo overlapAnalysis();
AnalysisInfo repetitionAnalysis();

}  // namespace expertscope
