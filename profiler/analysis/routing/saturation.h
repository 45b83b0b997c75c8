// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <vector>

#include "profiler/analysis/analysis_catalogue.h"

namespace expertscope {

/// How far two runs of the same text chose the same experts in one layer: of two checkpoints of one training, router
/// saturation RS = mean |S_t ∩ S'_t| / k.
struct LayerSaturation {
    LayerIndex layer;
    std::int64_t tokens = 0;  ///< compared: same token index, request, position and id, all choices known in both
    double overlap = 0;       ///< NaN without tokens
    double first = 0;         ///< the same first choice
    double random = 0;        ///< k / E
    double randomFirst = 0;   ///< 1 / E
};

/// By layer, as far as both models have layers. Throws UsageError where experts or choices differ in number.
/// O(assignments). Source: OLMoE (arXiv 2409.02060) §5.
std::vector<LayerSaturation> saturationOf(const RunRouting& a, const RunRouting& b);

AnalysisInfo saturationAnalysis();

}  // namespace expertscope
