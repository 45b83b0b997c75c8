// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "profiler/analysis/analysis_catalogue.h"

namespace expertscope {

/// One token's activations of every neuron of a layer's experts, the heat map of the intermediate states of "A Closer
/// Look into Mixture-of-Experts" (arXiv 2406.18219).
AnalysisInfo activationMapAnalysis();

}  // namespace expertscope
