// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/inference/layer_predictors.h"

#include "engine/inference/router.h"

namespace expertscope {

LayerPredictors::LayerPredictors(const ModelConfig& config, const DenseWeights& weights, const ParallelMath& math,
                                 int maxTokens)
    : m_config(&config), m_weights(&weights), m_math(&math), m_scratch(static_cast<std::size_t>(config.experts)) {
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
    for (Evaluation& evaluation : m_evaluations)
        evaluation.done = false;
}

std::span<const ExpertId> LayerPredictors::experts(PredictorKind kind, LayerIndex target) {
    const Evaluation* evaluation = evaluate(kind, target);
    if (!evaluation) return {};
    return {evaluation->experts.data(), static_cast<std::size_t>(m_tokens * m_config->topK)};
}

std::span<const float> LayerPredictors::logits(PredictorKind kind, LayerIndex target) {
    const Evaluation* evaluation = evaluate(kind, target);
    if (!evaluation) return {};
    return {evaluation->logits.data(), static_cast<std::size_t>(m_tokens * m_config->experts)};
}

LayerPredictors::Evaluation* LayerPredictors::evaluate(PredictorKind kind, LayerIndex target) {
    const int ahead = target.value() - m_layer.value();
    if (ahead < 1 || ahead > kFarthest || target.value() >= m_config->layers) return nullptr;
    const bool preGate = kind == PredictorKind::PreGate;
    if (preGate && (ahead != 1 || !m_config->preGates)) return nullptr;
    Evaluation& evaluation = m_evaluations[preGate ? 0 : static_cast<std::size_t>(ahead)];
    if (evaluation.done) return &evaluation;
    const MatrixView& gate =
        preGate ? m_weights->layers[m_layer.index()].preGate : m_weights->layers[target.index()].gate;
    m_math->linear(gate, m_hidden, m_tokens, evaluation.logits.data());
    for (int t = 0; t < m_tokens; ++t)
        chooseExperts(m_math->kernels(), evaluation.logits.data() + t * m_config->experts, m_config->experts,
                      m_config->topK, false, m_scratch.data(), evaluation.experts.data() + t * m_config->topK,
                      evaluation.scores.data() + t * m_config->topK);
    evaluation.done = true;
    return &evaluation;
}

void LayerPredictors::tell(StepIndex step, TokenIndex firstToken, Observer& observer) {
    const auto tellOne = [&](PredictorKind kind, int ahead) {
        const LayerIndex target(m_layer.value() + ahead);
        const Evaluation* evaluation = evaluate(kind, target);
        if (!evaluation) return;
        m_records.clear();
        for (int i = 0; i < m_tokens * m_config->topK; ++i) {
            const auto at = static_cast<std::size_t>(i);
            m_records.push_back({.step = step,
                                 .token = TokenIndex(firstToken.value() + i / m_config->topK),
                                 .fromLayer = m_layer,
                                 .targetLayer = target,
                                 .expert = evaluation->experts[at],
                                 .rank = i % m_config->topK,
                                 .score = evaluation->scores[at],
                                 .predictor = kind});
        }
        observer.onPredictions(m_records);
    };
    tellOne(PredictorKind::PreGate, 1);
    for (int ahead = 1; ahead <= kFarthest; ++ahead)
        tellOne(PredictorKind::NextGate, ahead);
}

}  // namespace expertscope
