// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/offload/evictions/mrs.h"

#include <span>

namespace expertscope {

void MrsEviction::onLayer(const RoutedLayer& routed, Predictors& predictors) {
    const Prediction gate = predictors.of(PredictorKind::OwnGate, routed.layer);
    if (gate.empty()) return;
    const auto experts = static_cast<std::size_t>(m_experts);
    const std::span layer = std::span(*m_scores).subspan(routed.layer.index() * experts, experts);
    const auto width = static_cast<std::size_t>(gate.width);
    for (std::size_t token = 0; token < gate.experts.size() / width; ++token) {
        for (double& score : layer)
            score *= 1 - m_alpha;
        for (std::size_t i = token * width; i < (token + 1) * width; ++i)
            layer[gate.experts[i].index()] += m_alpha * static_cast<double>(gate.scores[i]);
    }
}

}  // namespace expertscope
