// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>
#include <vector>

#include "profiler/analysis/analysis_catalogue.h"
#include "profiler/analysis/weights/weight_results.h"

namespace expertscope {

/// How alike the routed experts of a layer are, by one measure.
struct SimilaritySummary {
    std::int64_t pairs = 0;    ///< of routed experts, with a similarity
    std::int64_t leftOut = 0;  ///< pairs without one: an expert of zeros, or with values that are not finite
    double mean = 0;           ///< over pairs; NaN where there are none, as are the other two
    double least = 0, most = 0;
    double toShared = 0;  ///< mean similarity of a routed expert to SE; NaN where there is none
    double toDense = 0;   ///< … to F: the literature's S_ef
    /// Experts that are unlike all others ("dark crosses" of the heat map): their mean similarity to the others lies
    /// kOutlierScore modified z-scores or more below the layer's median.
    std::vector<std::int32_t> outliers;
};

/// Plain equivalent: mean, minimum and maximum of S[a, b] over a < b among routed experts. O(n²).
SimilaritySummary summarise(const SimilarityMatrix& similarity);

/// By layer and measure: mean similarity and diversity (1 − mean), and the experts that stand out.
AnalysisInfo layerDiversityAnalysis();

}  // namespace expertscope
