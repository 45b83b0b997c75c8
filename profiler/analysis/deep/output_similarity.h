// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "engine/base/deep_aggregates.h"
#include "profiler/analysis/analysis_catalogue.h"

namespace expertscope {

/// How alike the experts' outputs are for the same input, in one layer.
struct OutputSimilarity {
    std::vector<double> cosine;   ///< [E, E] mean over tokens; NaN where a pair never had two directions
    std::vector<double> angular;  ///< [E, E] mean of 1 − arccos(cosine)/π; ½ for directions at right angles
    /// Means over pairs of different experts: all · both chosen by the token · one · neither. NaN where there are none.
    std::array<double, 4> meanCosine{}, meanAngular{};
};
OutputSimilarity outputSimilarity(const DeepLayer& layer);

AnalysisInfo outputSimilarityAnalysis();       ///< "output-similarity": layers
AnalysisInfo outputSimilarityPairsAnalysis();  ///< "output-similarity-pairs": layers × pairs
AnalysisInfo tokenSimilarityAnalysis();        ///< "token-similarity": layers × example tokens × pairs

}  // namespace expertscope
