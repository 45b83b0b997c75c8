// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "profiler/analysis/analysis_catalogue.h"

namespace expertscope {

/// "chosen-experts": by layer, token and slot the expert and its weight, of `tokens` tokens from `first` on.
AnalysisInfo chosenExpertsAnalysis();

}  // namespace expertscope
