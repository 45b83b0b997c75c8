// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <vector>

#include "profiler/analysis/analysis_catalogue.h"

namespace expertscope {

/// Reuse distances of a layer's experts: tokens of the run from one that chose the expert to the next that did (1: the
/// very next). They go on over requests, as an expert cache does. Percentiles are the smallest distance that at least
/// so much of the distances do not exceed.
struct LayerReuse {
    LayerIndex layer;
    std::int64_t distances = 0;
    std::int32_t p50 = 0, p90 = 0, longest = 0;  ///< 0 without distances
    double mean = 0;                             ///< NaN without distances
    std::int32_t usedOnce = 0;                   ///< experts
    std::int32_t neverUsed = 0;
    std::int32_t randomP50 = 0, randomP90 = 0;  ///< of uniform choices: geometric with p = k / E
    double randomMean = 0;                      ///< E / k
};
std::vector<LayerReuse> reuseByLayer(const RunRouting& routing);

/// Distances of one size class, all layers together.
struct ReuseBin {
    std::int64_t from = 0, to = 0;  ///< both included; to = 2 from − 1
    std::int64_t count = 0;
    double share = 0;
    double randomShare = 0;  ///< of uniform choices
};
/// Up to the bin of the longest distance. `layer` −1: all layers. O(assignments).
std::vector<ReuseBin> reuseHistogram(const RunRouting& routing, std::int32_t layer = -1);

AnalysisInfo reuseDistanceAnalysis();
AnalysisInfo reuseHistogramAnalysis();

}  // namespace expertscope
