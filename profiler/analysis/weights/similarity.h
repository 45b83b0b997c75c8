// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "profiler/analysis/analysis_catalogue.h"

namespace expertscope {

/// Pairs of experts by layer, from the weights alone (Look-into-MoEs, arXiv 2406.18219 §4): cosines of whole matrices,
/// of averaged neurons, and of the router's rows.
AnalysisInfo weightSimilarityAnalysis();
AnalysisInfo neuronSimilarityAnalysis();
AnalysisInfo gateSimilarityAnalysis();

}  // namespace expertscope
