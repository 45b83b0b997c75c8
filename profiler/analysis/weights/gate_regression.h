// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <limits>
#include <span>

#include "profiler/analysis/analysis_catalogue.h"
#include "profiler/analysis/weights/weight_results.h"

namespace expertscope {

/// y = slope · x + intercept by least squares; all NaN where fewer than three pairs are finite or one side is constant.
struct LinearFit {
    std::int64_t pairs = 0;  ///< that are finite
    double r = std::numeric_limits<double>::quiet_NaN();
    double slope = std::numeric_limits<double>::quiet_NaN();
    double intercept = std::numeric_limits<double>::quiet_NaN();
};
LinearFit linearFit(std::span<const double> x, std::span<const double> y);

/// Of the router's similarities (y) against those of the experts' mean neurons (x), over all pairs of routed experts,
/// which come first in `neurons`.
LinearFit fitOfPairs(const SimilarityMatrix& neurons, const SimilarityMatrix& router);

/// Mean of r² over the layers that have an r, as the literature's tables give it; NaN where none has.
double meanSquare(std::span<const double> correlations);

/// By layer and matrix: does what a router row looks like follow from what its expert looks like? Over all pairs of
/// routed experts: router-row similarity against mean-neuron similarity, r and R²; then their mean over the layers.
/// Source: Look-into-MoEs (arXiv 2406.18219, tables 3 and 5), which rounds R² to two digits before it takes the mean.
AnalysisInfo gateRegressionAnalysis();

}  // namespace expertscope
