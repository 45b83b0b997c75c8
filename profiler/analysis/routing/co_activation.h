// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <vector>

#include "profiler/analysis/analysis_catalogue.h"

namespace expertscope {

/// Tokens for which one layer chose both of two experts.
struct CoActivation {
    std::int64_t tokens = 0;             ///< of the layer that have a choice
    std::vector<std::int32_t> alone;     ///< [E] N_i, tokens that chose expert i
    std::vector<std::int32_t> together;  ///< [E, E] N_ij, symmetric, 0 on the diagonal
};

/// With `adjacentRanks` only experts of neighbouring slots count, as OLMoE's published script does (its paper's formula
/// counts all pairs). O(tokens · k²). Source: OLMoE (arXiv 2409.02060) §5, CoA(i, j) = N_ij / N_i.
CoActivation coActivationOf(const RunRouting& routing, std::int32_t layer, bool adjacentRanks = false);

AnalysisInfo coActivationAnalysis();

}  // namespace expertscope
