// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "engine/base/deep_aggregates.h"
#include "profiler/analysis/analysis_catalogue.h"

namespace expertscope {

/// What the experts that a token did not choose would have added, each weighted by its own score: c = Σ s·f over the
/// chosen, u = Σ s·f over the others. Means over tokens; NaN where no token has both.
struct UnselectedPart {
    double tokens = 0;
    double scoreMass = 0;    ///< Σ s of the others; 1 − k/E for a router that is indifferent
    double normRatio = 0;    ///< ‖u‖/‖c‖
    double normShare = 0;    ///< ‖u‖/(‖c‖ + ‖u‖)
    double cosine = 0;       ///< of u and c
    double wholeCosine = 0;  ///< of c and c + u: 1 where the others would not turn the output
    double across = 0;       ///< ‖u⊥‖/‖u‖, the part of u that c does not point to
    double growth = 0;       ///< ‖c + u‖/‖c‖
};
UnselectedPart unselectedPart(const DeepLayer& layer);

AnalysisInfo unselectedAnalysis();    ///< "unselected": layers
AnalysisInfo routerScoresAnalysis();  ///< "router-scores": layers: z-loss, entropy

}  // namespace expertscope
