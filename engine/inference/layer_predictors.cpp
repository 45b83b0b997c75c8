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
      m_told(static_cast<std::size_t>(config.layers)),
      m_scratch(static_cast<std::size_t>(config.experts)) {
    const auto tokens = static_cast<std::size_t>(maxTokens);
    const auto choices = tokens * static_cast<std::size_t>(config.topK);
    for (Evaluation& evaluation : m_evaluations) {
        evaluation.logits.resize(tokens * static_cast<std::size_t>(config.experts));
        evaluation.experts.resize(choices);
        evaluation.scores.resize(choices);
    }
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
    for (int from = 0; from < config.layers; ++from)
        for (const PredictorKind kind : {PredictorKind::PreGate, PredictorKind::NextGate})
            for (int ahead = 1; ahead <= (kind == PredictorKind::NextGate ? told : kFarthest); ++ahead) {
                const LayerIndex target(from + ahead);
                const MatrixView matrix = gate(kind, LayerIndex(from), target);
                if (matrix.data) m_told[static_cast<std::size_t>(from)].push_back({kind, target, matrix});
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
    }
    rank(m_ownGate, logits, width);
}

Prediction LayerPredictors::of(PredictorKind kind, LayerIndex target) {
    const Evaluation* evaluation = evaluate(kind, target);
    if (!evaluation) return {};
    const auto count = static_cast<std::size_t>(m_tokens) * static_cast<std::size_t>(evaluation->width);
    return {.width = evaluation->width,
            .experts = {evaluation->experts.data(), count},
            .scores = {evaluation->scores.data(), count}};
}

std::span<const float> LayerPredictors::logits(PredictorKind kind, LayerIndex target) {
    const Evaluation* evaluation = evaluate(kind, target);
    if (!evaluation) return {};
    return {evaluation->logits.data(),
            static_cast<std::size_t>(m_tokens) * static_cast<std::size_t>(m_config->experts)};
}

LayerPredictors::Evaluation* LayerPredictors::evaluate(PredictorKind kind, LayerIndex target) {
    const int ahead = target.value() - m_layer.value();
    if (kind == PredictorKind::OwnGate) return ahead == 0 && m_ownGate.done ? &m_ownGate : nullptr;
    const MatrixView matrix = gate(kind, m_layer, target);
    if (!matrix.data) return nullptr;
    const bool early = kind == PredictorKind::PreGate;
    Evaluation& evaluation = m_evaluations[static_cast<std::size_t>(early ? ahead - 1 : kFarthest + ahead - 1)];
    if (evaluation.done) return &evaluation;
    m_math->linear(matrix, m_hidden, m_tokens, evaluation.logits.data());
    rank(evaluation, evaluation.logits.data(), m_config->topK);
    return &evaluation;
}

/// What predicts `target` on the input of layer `from`; no data where there is nothing.
MatrixView LayerPredictors::gate(PredictorKind kind, LayerIndex from, LayerIndex target) const {
    const int ahead = target.value() - from.value();
    if (ahead < 1 || ahead > kFarthest || target.value() >= m_config->layers) return {};
    return kind == PredictorKind::PreGate ? preGate(from, ahead) : m_weights->layers[target.index()].gate;
}

MatrixView LayerPredictors::preGate(LayerIndex from, int ahead) const {
    const auto& fitted = m_fitted[static_cast<std::size_t>(ahead) - 1];
    if (!fitted.empty() && fitted[from.index()].data) return fitted[from.index()];
    return ahead == 1 ? m_weights->layers[from.index()].preGate : MatrixView{};
}

void LayerPredictors::rank(Evaluation& evaluation, const float* logits, int width) {
    for (int t = 0; t < m_tokens; ++t)
        chooseExperts(m_math->kernels(), logits + t * m_config->experts, m_config->experts, width, false,
                      m_scratch.data(), evaluation.experts.data() + t * width, evaluation.scores.data() + t * width);
    evaluation.width = width;
    evaluation.done = true;
}

void LayerPredictors::tell(StepIndex step, TokenIndex firstToken, Observer& observer) {
    const auto tellOne = [&](PredictorKind kind, LayerIndex target) {
        const Prediction prediction = of(kind, target);
        const auto width = static_cast<std::size_t>(prediction.width);
        m_records.resize(static_cast<std::size_t>(m_tokens) * width);
        for (int t = 0; t < m_tokens; ++t) {
            const std::size_t first = static_cast<std::size_t>(t) * width;
            writePrediction({.step = step,
                             .token = TokenIndex(firstToken.value() + t),
                             .fromLayer = m_layer,
                             .targetLayer = target,
                             .expert = {},
                             .predictor = kind},
                            prediction.experts.subspan(first, width), prediction.scores.data() + first,
                            m_records.data() + first);
        }
        if (width > 0) observer.onPredictions(m_records);
    };
    tellOne(PredictorKind::OwnGate, m_layer);
    for (const ToldPredictor& predictor : told(m_layer))
        tellOne(predictor.kind, predictor.target);
}

void writePrediction(PredictionRecord what, std::span<const ExpertId> experts, const float* scores,
                     PredictionRecord* out) {
    for (std::size_t rank = 0; rank < experts.size(); ++rank) {
        what.expert = experts[rank];
        what.rank = static_cast<std::int32_t>(rank);
        what.score = scores[rank];
        out[rank] = what;
    }
}

}  // namespace expertscope
