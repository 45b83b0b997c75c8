// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <atomic>
#include <span>
#include <vector>

#include "engine/base/deep_sink.h"
#include "engine/inference/deep_sums.h"
#include "engine/model/checkpoint.h"
#include "engine/offload/expert_store.h"
#include "engine/offload/transfer_queue.h"

namespace expertscope {

/// What a layer of a step was given and made, of positions in order.
struct RoutedRows {
    LayerIndex layer;
    TokenIndex firstToken;  ///< index of the first position in the run
    int tokens = 0;
    const float* inputs = nullptr;     ///< [tokens, H] normalised input of router and experts
    const float* logits = nullptr;     ///< [tokens, E] by which the layer chose
    const ExpertId* chosen = nullptr;  ///< [tokens, k]; −1: dropped
    const float* weights = nullptr;    ///< [tokens, k] as applied
    const float* hidden = nullptr;     ///< [tokens, H] residual stream after the layer
};

/// Runs every expert of layers on the true inputs of tokens, beside the normal step: the second stage of "A Closer Look
/// into Mixture-of-Experts" (arXiv 2406.18219), made while the first goes on. A layer's rows are kept until there are
/// enough of them, so that an expert is read once for many tokens; it is read from the checkpoint (through the page
/// cache) into memory of its own, never by the cache or the link, so that residency and logits do not change. With the
/// engine's kernels, an expert's output has the bits that the normal step gives where it runs in full precision.
class DeepCapture {
public:
    /// Throws UsageError where `options` take no layer of the model.
    DeepCapture(const Checkpoint& checkpoint, const ParallelMath& math, const DeepCaptureOptions& options);

    /// Keeps what is taken of a layer's rows, and runs its experts when it has enough. Every layer of every step, in
    /// order. Throws FailedError naming layer and expert for an output that is not a finite number.
    void keep(const RoutedRows& rows);
    /// From now on `sink`, which outlives this, is told what is asked for.
    void tell(DeepSink& sink);
    /// After every step: every few seconds runs what is kept and tells the sums, so that a run that is killed leaves
    /// them. The rarer, the longer it takes: a twentieth of the time at most.
    void stepEnded();
    /// Runs what is still kept.
    void finish();
    const DeepAggregates& result() const { return m_result; }
    /// Memory that it takes beside the model's.
    Bytes memory() const;

private:
    struct Kept {
        std::vector<std::int32_t> index;             ///< [rows] in the run
        std::vector<float> inputs, logits, weights;  ///< [rows, H], [rows, E], [rows, E] NaN where not chosen
        std::vector<float> after;                    ///< [rows, H] where raw vectors are asked for
    };
    struct Worker {
        std::vector<float> gate, up, active, output;  ///< [kTokenBlock, I or H]
    };

    void runKept();
    void runLayer(std::size_t layer);
    void runExpert(std::size_t layer, int expert, int worker);
    void countNeurons(const Kept& kept, int first, int count, int expert, const Worker& worker, DeepLayer& to) const;

    const Checkpoint* m_checkpoint;
    ParallelMath m_math;
    DeepAggregates m_result;
    int m_most;  ///< rows of a layer that run at once
    ExpertStore m_store;
    Arena m_bytes;  ///< a slot for each worker
    std::vector<Worker> m_workers;
    std::vector<float> m_ones;         ///< [kTokenBlock · I]
    std::vector<float> m_outputs;      ///< [most, E, H]
    std::vector<float> m_activations;  ///< [most, E, I] where raw vectors are asked for
    std::vector<Kept> m_kept;          ///< by layer of m_result
    DeepSums m_sums;
    std::atomic<int> m_notFinite{-1};  ///< expert of the layer that runs
    DeepSink* m_sink = nullptr;
    Nanoseconds m_nextTold;
};

}  // namespace expertscope
