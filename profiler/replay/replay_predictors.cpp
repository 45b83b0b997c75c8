// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/replay/replay_predictors.h"

#include <fmt/format.h>

namespace expertscope {

Prediction ReplayPredictors::of(PredictorKind kind, LayerIndex target) {
    const Prediction prediction = m_trace->prediction(m_group, kind, target);
    if (!prediction.empty()) return prediction;
    // The live engine has nothing there either: beyond the last layer, or further ahead than its predictors look.
    const int ahead = target.value() - m_trace->groups()[m_group].layer.value();
    const bool exists =
        target.value() < m_trace->layers() && (kind == PredictorKind::OwnGate    ? ahead == 0
                                               : kind == PredictorKind::NextGate ? ahead >= 1 && ahead <= 3
                                                                                 : ahead == 1);
    if (!exists) return prediction;
    m_missing.insert(kind == PredictorKind::OwnGate   ? std::string("the own gate's ranking")
                     : kind == PredictorKind::PreGate ? std::string("predictions of the pre-gates")
                                                      : fmt::format("predictions of the next gates, {} ahead", ahead));
    return prediction;
}

}  // namespace expertscope
