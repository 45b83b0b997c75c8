// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/inference/layer_predictors.h"

#include "engine/inference/router.h"
#include "engine/offload/pre_gate_table.h"

namespace expertscope {

LayerPredictors::LayerPredictors(const ModelConfig& config, const DenseWeights& weights, const ParallelMath& math,
                                 int maxTokens, const PreparedData* prepared, int told)
    : m_config(&config),
      m_weights(&weights),
      m_math(&math),
      m_maxTokens(maxTokens),
      m_told(told),
      m_scratch(static_cast<std::size_t>(config.experts)) {
    const auto tokens = static_cast<std::size_t>(maxTokens);
    const auto choices = tokens * static_cast<std::size_t>(config.topK);
    for (Evaluation& evaluation : m_evaluations) {
        evaluation.logits.resize(tokens * static_cast<std::size_t>(config.experts));
        evaluation.experts.resize(choices);
        evaluation.scores.resize(choices);
    }
    m_records.reserve(choices);
    for (int ahead = 1; prepared && ahead <= kFarthest; ++ahead) {
        auto& fitted = m_fitted[static_cast<std::size_t>(ahead) - 1];
        fitted.resize(static_cast<std::size_t>(config.layers));
        for (int layer = 0; layer + ahead < config.layers; ++layer) {
            const std::string name = preGateTable(ahead, LayerIndex(layer));
            if (!prepared->find(name)) continue;
            const PreparedTable& table = prepared->table(name, {config.experts, config.hidden});
            fitted[static_cast<std::size_t>(layer)] = {reinterpret_cast<const std::byte*>(table.values.data()),
                                                       ElementType::F32, config.experts, config.hidden};
        }
    }
}

void LayerPredictors::beginLayer(LayerIndex layer, const float* hidden, int tokens) {
    m_layer = layer;
    m_hidden = hidden;
    m_tokens = tokens;
    m_ownGate.done = false;
    for (Evaluation& evaluation : m_evaluations)
        evaluation.done = false;
}

void LayerPredictors::setOwnGate(const float* logits, int width) {
    const auto choices = static_cast<std::size_t>(m_maxTokens) * static_cast<std::size_t>(width);
    if (m_ownGate.experts.size() < choices) {  // once, with the first layer
        m_ownGate.experts.resize(choices);
        m_ownGate.scores.resize(choices);
        m_records.reserve(choices);
    }
    rank(m_ownGate, logits, width);
}

Prediction LayerPredictors::of(PredictorKind kind, LayerIndex target) {
    const Evaluation* evaluation = evaluate(kind, target);
    if (!evaluation) return {};
    const auto count = static_cast<std::size_t>(m_tokens * evaluation->width);
    return {.width = evaluation->width,
            .experts = {evaluation->experts.data(), count},
            .scores = {evaluation->scores.data(), count}};
}

std::span<const float> LayerPredictors::logits(PredictorKind kind, LayerIndex target) {
    const Evaluation* evaluation = evaluate(kind, target);
    if (!evaluation) return {};
    return {evaluation->logits.data(), static_cast<std::size_t>(m_tokens * m_config->experts)};
}

LayerPredictors::Evaluation* LayerPredictors::evaluate(PredictorKind kind, LayerIndex target) {
    const int ahead = target.value() - m_layer.value();
    if (kind == PredictorKind::OwnGate) return ahead == 0 && m_ownGate.done ? &m_ownGate : nullptr;
    if (ahead < 1 || ahead > kFarthest || target.value() >= m_config->layers) return nullptr;
    const bool early = kind == PredictorKind::PreGate;
    const MatrixView gate = early ? preGate(ahead) : m_weights->layers[target.index()].gate;
    if (!gate.data) return nullptr;
    Evaluation& evaluation = m_evaluations[static_cast<std::size_t>(early ? ahead - 1 : kFarthest + ahead - 1)];
    if (evaluation.done) return &evaluation;
    m_math->linear(gate, m_hidden, m_tokens, evaluation.logits.data());
    rank(evaluation, evaluation.logits.data(), m_config->topK);
    return &evaluation;
}

/// Of the present layer.
MatrixView LayerPredictors::preGate(int ahead) const {
    const auto& fitted = m_fitted[static_cast<std::size_t>(ahead) - 1];
    if (!fitted.empty() && fitted[m_layer.index()].data) return fitted[m_layer.index()];
    return ahead == 1 ? m_weights->layers[m_layer.index()].preGate : MatrixView{};
}

void LayerPredictors::rank(Evaluation& evaluation, const float* logits, int width) {
    for (int t = 0; t < m_tokens; ++t)
        chooseExperts(m_math->kernels(), logits + t * m_config->experts, m_config->experts, width, false,
                      m_scratch.data(), evaluation.experts.data() + t * width, evaluation.scores.data() + t * width);
    evaluation.width = width;
    evaluation.done = true;
}

void LayerPredictors::tell(StepIndex step, TokenIndex firstToken, Observer& observer) {
    tellOne(PredictorKind::OwnGate, m_layer, step, firstToken, observer);
    for (const PredictorKind kind : {PredictorKind::PreGate, PredictorKind::NextGate})
        for (int ahead = 1; ahead <= (kind == PredictorKind::NextGate ? m_told : kFarthest); ++ahead)
            tellOne(kind, LayerIndex(m_layer.value() + ahead), step, firstToken, observer);
}

void LayerPredictors::tellOne(PredictorKind kind, LayerIndex target, StepIndex step, TokenIndex firstToken,
                              Observer& observer) {
    const Evaluation* evaluation = evaluate(kind, target);
    if (!evaluation) return;
    m_records.clear();
    for (int i = 0; i < m_tokens * evaluation->width; ++i) {
        const auto at = static_cast<std::size_t>(i);
        m_records.push_back({.step = step,
                             .token = TokenIndex(firstToken.value() + i / evaluation->width),
                             .fromLayer = m_layer,
                             .targetLayer = target,
                             .expert = evaluation->experts[at],
                             .rank = i % evaluation->width,
                             .score = evaluation->scores[at],
                             .predictor = kind});
    }
    observer.onPredictions(m_records);
}

}  // namespace expertscope
