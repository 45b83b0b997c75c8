// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/inference/layer_predictors.h"

#include "engine/inference/router.h"

namespace expertscope {

LayerPredictors::LayerPredictors(const ModelConfig& config, const DenseWeights& weights, const ParallelMath& math,
                                 int maxTokens)
    : m_config(&config),
      m_weights(&weights),
      m_math(&math),
      m_maxTokens(maxTokens),
      m_scratch(static_cast<std::size_t>(config.experts)) {
    const auto tokens = static_cast<std::size_t>(maxTokens);
    const auto choices = tokens * static_cast<std::size_t>(config.topK);
    for (Evaluation& evaluation : m_evaluations) {
        evaluation.logits.resize(tokens * static_cast<std::size_t>(config.experts));
        evaluation.experts.resize(choices);
        evaluation.scores.resize(choices);
    }
    m_records.reserve(choices);
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
    const bool preGate = kind == PredictorKind::PreGate;
    if (preGate && (ahead != 1 || !m_config->preGates)) return nullptr;
    Evaluation& evaluation = m_evaluations[preGate ? 0 : static_cast<std::size_t>(ahead)];
    if (evaluation.done) return &evaluation;
    const MatrixView& gate =
        preGate ? m_weights->layers[m_layer.index()].preGate : m_weights->layers[target.index()].gate;
    m_math->linear(gate, m_hidden, m_tokens, evaluation.logits.data());
    rank(evaluation, evaluation.logits.data(), m_config->topK);
    return &evaluation;
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
    tellOne(PredictorKind::PreGate, LayerIndex(m_layer.value() + 1), step, firstToken, observer);
    for (int ahead = 1; ahead <= kFarthest; ++ahead)
        tellOne(PredictorKind::NextGate, LayerIndex(m_layer.value() + ahead), step, firstToken, observer);
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
