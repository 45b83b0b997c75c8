// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/inference/shadow_predictions.h"

#include <algorithm>

namespace expertscope {

ShadowPredictions::ShadowPredictions(const ModelConfig& config, LayerPredictors& predictors, int ownGateWidth,
                                     int maxTokens)
    : m_config(&config),
      m_predictors(&predictors),
      m_ownGateWidth(std::min(ownGateWidth, config.experts)),
      m_tokens(std::min(kTokens, maxTokens)) {
    const auto tokens = static_cast<std::size_t>(m_tokens);
    m_rows.reserve(tokens);
    m_inputs.resize(static_cast<std::size_t>(config.layers) * tokens * static_cast<std::size_t>(config.hidden));
}

void ShadowPredictions::keep(StepIndex step, TokenIndex token, LayerIndex layer, const float* hidden, Nanoseconds now) {
    if (layer.value() == 0) {
        if (m_rows.empty()) m_since = now;
        m_rows.push_back({step, token});
    }
    const std::size_t at = layer.index() * static_cast<std::size_t>(m_tokens) + m_rows.size() - 1;
    std::copy_n(hidden, m_config->hidden, m_inputs.data() + at * static_cast<std::size_t>(m_config->hidden));
}

void ShadowPredictions::tell(Observer& observer) {
    const auto told = m_predictors->recordsPerToken(m_ownGateWidth);
    m_records.resize(m_rows.size() * told);
    std::size_t column = 0;
    for (int layer = 0; layer < m_config->layers; ++layer) {
        const auto first = static_cast<std::size_t>(layer * m_tokens) * static_cast<std::size_t>(m_config->hidden);
        m_predictors->beginLayer(LayerIndex(layer), m_inputs.data() + first, kept());
        if (m_ownGateWidth > 0) m_predictors->runOwnGate(m_ownGateWidth);
        column += m_predictors->write(m_rows, m_records.data() + column, told);
    }
    observer.onPredictions(m_records);
    m_rows.clear();
}

}  // namespace expertscope
