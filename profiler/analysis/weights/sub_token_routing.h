// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "profiler/analysis/analysis_catalogue.h"

namespace expertscope {

/// Models that split a token into sub-tokens around their experts and route each alone (Multi-Head MoE, arXiv
/// 2404.15045): by layer and head, how evenly sub-tokens spread over experts and how many experts a token reaches.
AnalysisInfo subTokenRoutingAnalysis();

/// By layer, head and expert: the part of sub-tokens, and of tokens, that choose it.
AnalysisInfo subTokenLoadAnalysis();

}  // namespace expertscope
