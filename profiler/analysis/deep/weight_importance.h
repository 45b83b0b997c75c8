// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <functional>
#include <vector>

#include "profiler/analysis/analysis_catalogue.h"

namespace expertscope {

/// What the weights alone say of how much a layer's routed experts matter (MC-Suite's criteria): the higher, the more
/// worth keeping.
struct WeightImportance {
    std::vector<double> distinctness;  ///< [E] 1 − mean cosine to the other experts, over the three matrices (EWS)
    std::vector<double> routerNorm;    ///< [E] L2 norm of the router's row (RWN)
    std::vector<double> weightNorm;    ///< [E] Frobenius norm of all three matrices (EWN)
    std::vector<double> stableRank;    ///< [E] mean over the three matrices
};
/// Reads the layer where the study has not; singular values cost most. `progress` is told 0…1 and may throw.
WeightImportance weightImportance(WeightStudy& study, LayerIndex layer, const std::function<void(double)>& progress);

AnalysisInfo weightImportanceAnalysis();  ///< "weight-importance": layers × experts

}  // namespace expertscope
