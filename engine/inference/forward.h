// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "engine/base/annotation.h"
#include "engine/inference/deep_capture.h"
#include "engine/inference/dense_weights.h"
#include "engine/inference/engine.h"
#include "engine/inference/kv_cache.h"
#include "engine/inference/layer_predictors.h"
#include "engine/inference/near_memory.h"
#include "engine/inference/parallel_math.h"
#include "engine/inference/routing_limits.h"
#include "engine/inference/shadow_predictions.h"
#include "engine/offload/expert_cache.h"

namespace expertscope {

/// One forward step: which positions run, and where they stand in the run.
struct StepInput {
    StepIndex step;
    Phase phase = Phase::Decode;
    TokenIndex firstToken;              ///< run-wide index of the first position
    int firstPosition = 0;              ///< in the request's context
    std::span<const std::int32_t> ids;  ///< [tokens], at most maxTokens
};

/// The Qwen3-MoE forward pass: RMSNorm, grouped-query attention with per-head query and key norms and half-split RoPE,
/// softmax router, SwiGLU experts brought by the expert cache, tied or own head. Activations are float32. The outputs
/// of experts are kept by (token, slot) and summed in slot order, so that the order in which experts arrive, and the
/// budget, change no bit. Allocates nothing once constructed and reserved.
class Forward {
public:
    Forward(const Checkpoint& checkpoint, const ParallelMath& math, ExpertCache& experts, const RecordSet& record,
            Observer& observer, int maxTokens);

    int maxTokens() const { return m_maxTokens; }
    void reserve(int positions);
    /// Runs the positions through all layers. Throws FailedError naming layer and expert when a value is not finite.
    void run(const StepInput& input);
    /// Logits [count, V] of positions first … of the last step's.
    void logits(int first, int count, float* out);
    /// Time that run() and logits() spent computing, waits and planning left out.
    Nanoseconds computed() const { return m_computed; }
    /// Time that it waited for experts that are computed where they lie.
    Nanoseconds waitedInPlace() const { return m_waitedInPlace; }
    /// See Engine::tapRouters().
    void tap(RouterTap tap) { m_tap = std::move(tap); }
    /// From now on `deep` gets the rows of every layer, after the layer's normal step; it outlives this.
    void capture(DeepCapture& deep) { m_deep = &deep; }
    /// From now on layers choose within `limits`. Throws UsageError for what the model or the policy cannot do.
    void limit(const RoutingLimits& limits);
    /// [layers] milliseconds of the layer's block in each decode step.
    const std::vector<std::vector<double>>& blockMs() const { return m_blockMs; }
    /// How routing was changed so far; counted where the expert cache was asked to.
    const RoutingChanges& routingChanges() const { return m_changes; }
    /// Announces the near-memory lane, where the policy uses it.
    void start();
    /// Tells the shadow predictions that are still kept (see ShadowPredictions); at the end of every request.
    void tellShadows();

private:
    struct ExpertTask {
        int access = 0;
        int begin = 0, count = 0;  ///< in m_uses
        ExpertWeights weights;
        const std::byte* low = nullptr;  ///< the low-precision copy that runs instead
    };
    struct WorkerScratch {
        explicit WorkerScratch(const ModelConfig& config) : expert(config) {}
        ExpertScratch expert;
        std::vector<float> scores;    ///< of attention, [positions]
        std::vector<float> expanded;  ///< matrices of a low-precision copy; empty where there are none
    };

    void attention(int layer, const StepInput& input);
    void rotate(int layer, int token, int position);
    void route(int layer, const StepInput& input);
    void choose(int layer, int tokens);
    void revise(int layer, const StepInput& input);
    void keepAhead(int layer, int tokens);
    Nanoseconds shadow(int layer, const StepInput& input, Nanoseconds began);
    void runExperts(int layer, const StepInput& input);
    void noteActions();
    void countRouting(int layer, int tokens);
    void submitInPlace(int layer, const StepInput& input);
    void waitInPlace(int layer, const StepInput& input);
    template <class Give>
    void eachBlock(std::size_t access, Give&& give) const;
    ExpertRows rows() { return {m_normed.data(), m_expertOutputs.data(), m_norms.data()}; }
    void groupByExpert(int uses);
    void runTask(const ExpertTask& task, int layer, const StepInput& input, int worker);
    void combine(int tokens);
    void captureRows(int layer, const StepInput& input);
    void tellSelections(int layer, const StepInput& input);
    void checkFinite(const float* rows, int tokens, int layer, const char* part) const;
    /// A part of the step that begins at `began`…
    SpanAnnotation part(SpanKind kind, Nanoseconds began, const StepInput& input, int layer) const;
    /// … and ends now: a span, and compute time where `computes`.
    Nanoseconds endPart(SpanAnnotation& part, bool computes = true);
    Observer* spanObserver() const { return m_record.spans ? m_observer : nullptr; }

    const Checkpoint* m_checkpoint;
    const ModelConfig* m_config;
    ParallelMath m_math;
    ExpertCache* m_experts;
    RecordSet m_record;
    Observer* m_observer;
    int m_maxTokens;
    DenseWeights m_weights;
    KvCache m_cache;
    LayerPredictors m_predictors;
    std::optional<ShadowPredictions> m_shadow;  ///< where predictions are recorded
    Nanoseconds m_computed;
    Nanoseconds m_waitedInPlace;

    RouterTap m_tap;
    DeepCapture* m_deep = nullptr;
    std::optional<RoutingLimiter> m_limiter;

    std::vector<float> m_hidden;        ///< [tokens, H] the residual stream
    std::vector<float> m_normed;        ///< [tokens, H]
    std::vector<float> m_qkv;           ///< [tokens, (heads + 2 kvHeads) · headDim]
    std::vector<float> m_attended;      ///< [tokens, heads · headDim]
    std::vector<float> m_projected;     ///< [tokens, H]
    std::vector<float> m_routerLogits;  ///< [tokens, E]
    std::vector<float> m_ownLogits;     ///< [tokens, E] before the policy adjusted them; where they give the weights
    /// [tokens, E] logits by which a layer to come will choose, by its number modulo their count.
    std::array<std::vector<float>, LayerPredictors::kFarthest + 1> m_aheadLogits;
    std::vector<float> m_probabilities;      ///< [tokens, E] of the own gate; where the policy revises
    std::vector<SelectionAction> m_actions;  ///< [tokens, k]
    std::vector<ExpertId> m_firstChosen;     ///< [tokens, k] before the policy revised or limits dropped; where they do
    std::vector<ExpertId> m_chosen;          ///< [tokens, k]
    std::vector<float> m_weightsChosen;      ///< [tokens, k]
    std::vector<float> m_expertOutputs;      ///< [tokens, k, H]
    std::vector<float> m_norms;              ///< [tokens, k]
    std::vector<int> m_accessOf;             ///< [E] access of the expert in this layer
    std::vector<int> m_useBegin;             ///< [accesses + 1] into m_uses
    std::vector<int> m_uses;                 ///< [tokens · k] token · k + slot, grouped by access, in order
    std::vector<ExpertTask> m_tasks;
    std::vector<float> m_routerScratch;  ///< [E]
    std::vector<SelectionRecord> m_selections;
    RoutingChanges m_changes;
    std::vector<std::vector<double>> m_blockMs;
    std::vector<float> m_firstWeights;  ///< [tokens, k] before the policy revised; where it does
    std::vector<WorkerScratch> m_scratch;
    std::atomic<int> m_notFinite{-1};  ///< access whose output was not finite, −1 = none
    /// Null where the policy computes nothing in place. Last: its thread uses what stands above.
    std::unique_ptr<NearMemory> m_nearMemory;
};

}  // namespace expertscope
