// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "profiler/analysis/analysis_catalogue.h"

namespace expertscope {

/// By layer and expert: Frobenius norms of the three matrices and the L2 norm of the router's row.
AnalysisInfo weightNormsAnalysis();

}  // namespace expertscope
