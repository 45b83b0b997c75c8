// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <array>
#include <span>
#include <vector>

#include "engine/base/events.h"
#include "engine/inference/dense_weights.h"
#include "engine/inference/parallel_math.h"
#include "engine/offload/policy.h"
#include "engine/offload/prepared_data.h"

namespace expertscope {

/// A predictor of a layer that is told beside its own gate.
struct ToldPredictor {
    PredictorKind kind = PredictorKind::NextGate;
    LayerIndex target;
    MatrixView gate;  ///< [E, H]
};

/// Writes what a predictor expects for one token, its `experts` [width] by falling `scores`, to out[0..width). `what`
/// holds all but expert, rank and score.
void writePrediction(PredictionRecord what, std::span<const ExpertId> experts, const float* scores,
                     PredictionRecord* out);

/// The predictors on the hidden state of the layer that was just routed: its pre-gates and the own gates of the next
/// layers, both one to kFarthest ahead. A pre-gate is that of the prepared data, else (one layer ahead) that of the
/// checkpoint. Each is evaluated once a layer, when first asked for.
class LayerPredictors final : public Predictors {
public:
    static constexpr int kFarthest = 4;

    /// `prepared` may be null and outlives this. Throws BadInputError for a pre-gate of another shape.
    LayerPredictors(const ModelConfig& config, const DenseWeights& weights, const ParallelMath& math, int maxTokens,
                    const PreparedData* prepared, int told = 3);

    /// `hidden` [tokens, H] is the normalised input of `layer`'s experts.
    void beginLayer(LayerIndex layer, const float* hidden, int tokens);
    /// What the layer's own gate says, before anything was changed: the best `width` of `logits` [tokens, E].
    void setOwnGate(const float* logits, int width);
    Prediction of(PredictorKind kind, LayerIndex target) override;
    /// Logits [tokens, E] of a predictor; empty where there is none.
    std::span<const float> logits(PredictorKind kind, LayerIndex target);
    /// Tells what every predictor expects, of the next gates those up to `told` layers ahead.
    void tell(StepIndex step, TokenIndex firstToken, Observer& observer);
    /// The predictors of layer `from` that tell() tells, but for its own gate.
    std::span<const ToldPredictor> told(LayerIndex from) const { return m_told[from.index()]; }

private:
    struct Evaluation {
        std::vector<float> logits;      ///< [maxTokens, E]
        std::vector<ExpertId> experts;  ///< [maxTokens, width]
        std::vector<float> scores;      ///< [maxTokens, width]
        int width = 0;
        bool done = false;
    };
    MatrixView gate(PredictorKind kind, LayerIndex from, LayerIndex target) const;
    MatrixView preGate(LayerIndex from, int ahead) const;
    Evaluation* evaluate(PredictorKind kind, LayerIndex target);
    void rank(Evaluation& evaluation, const float* logits, int width);

    const ModelConfig* m_config;
    const DenseWeights* m_weights;
    const ParallelMath* m_math;
    LayerIndex m_layer;
    const float* m_hidden = nullptr;
    int m_tokens = 0;
    std::array<Evaluation, 2 * kFarthest> m_evaluations;  ///< pre-gates by distance, then next gates by distance
    std::array<std::vector<MatrixView>, kFarthest>
        m_fitted;  ///< by distance: [layers] prepared pre-gates; no data = none
    Evaluation m_ownGate;
    int m_maxTokens;
    std::vector<std::vector<ToldPredictor>> m_told;  ///< [layers]
    std::vector<float> m_scratch;                    ///< [E]
    std::vector<PredictionRecord> m_records;         ///< [maxTokens, width]
};

}  // namespace expertscope
