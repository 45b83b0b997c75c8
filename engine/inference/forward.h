// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <atomic>
#include <optional>
#include <span>
#include <vector>

#include "engine/inference/dense_weights.h"
#include "engine/inference/kv_cache.h"
#include "engine/inference/layer_predictors.h"
#include "engine/inference/parallel_math.h"
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

private:
    /// Tokens that one task runs through one expert.
    static constexpr int kTokenBlock = 16;
    struct ExpertTask {
        int access = 0;
        int begin = 0, count = 0;  ///< in m_uses
        ExpertWeights weights;
    };
    struct WorkerScratch {
        std::vector<float> input, gate, up, output, scores;
    };

    void attention(int layer, const StepInput& input);
    void rotate(int layer, int token, int position);
    void route(int layer, const StepInput& input);
    void runExperts(int layer, const StepInput& input);
    void groupByExpert(int uses);
    void runTask(const ExpertTask& task, int layer, const StepInput& input, int worker);
    void combine(int tokens);
    void tellSelections(int layer, const StepInput& input);
    void checkFinite(const float* rows, int tokens, int layer, const char* part) const;
    /// Ends a part of the step that began at `began`: a span, and compute time where `computes`.
    Nanoseconds part(SpanKind kind, Nanoseconds began, const StepInput& input, int layer, bool computes = true);

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
    Nanoseconds m_computed;

    std::vector<float> m_hidden;         ///< [tokens, H] the residual stream
    std::vector<float> m_normed;         ///< [tokens, H]
    std::vector<float> m_qkv;            ///< [tokens, (heads + 2 kvHeads) · headDim]
    std::vector<float> m_attended;       ///< [tokens, heads · headDim]
    std::vector<float> m_projected;      ///< [tokens, H]
    std::vector<float> m_routerLogits;   ///< [tokens, E]
    std::vector<float> m_aheadLogits;    ///< [tokens, E] of the pre-gate, for the next layer
    std::vector<ExpertId> m_chosen;      ///< [tokens, k]
    std::vector<float> m_weightsChosen;  ///< [tokens, k]
    std::vector<float> m_expertOutputs;  ///< [tokens, k, H]
    std::vector<float> m_norms;          ///< [tokens, k]
    std::vector<int> m_accessOf;         ///< [E] access of the expert in this layer
    std::vector<int> m_useBegin;         ///< [accesses + 1] into m_uses
    std::vector<int> m_uses;             ///< [tokens · k] token · k + slot, grouped by access, in order
    std::vector<ExpertTask> m_tasks;
    std::vector<float> m_routerScratch;  ///< [E]
    std::vector<SelectionRecord> m_selections;
    std::vector<WorkerScratch> m_scratch;
    std::atomic<int> m_notFinite{-1};  ///< access whose output was not finite, −1 = none
};

}  // namespace expertscope
