// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "profiler/analysis/analysis_catalogue.h"

namespace expertscope {

/// How rarely a random direction is as near to a router's row as a token: log p_δ with p_δ = P(|cos| ≥ δ) = 1 −
/// I_{δ²}(1/2, (d − 1)/2) for uniform directions of d dimensions. 0 for δ = 0, −∞ for δ = 1; NaN for d < 2.
double logFarShare(double delta, double dimensions);

/// The largest cosine that n random directions of d dimensions have with a given one, expected: ∫ 1 − Fⁿ over the
/// cosine's distribution F.
double randomLargestCosine(double directions, double dimensions);

/// By layer: angles between tokens and router rows, and the expert capacity below which tokens that tell experts apart
/// go missing, 1/(n·p_δ) (LocMoE, arXiv 2401.13920).
AnalysisInfo minimumCapacityAnalysis();

}  // namespace expertscope
