// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <atomic>
#include <thread>
#include <vector>

#include "engine/inference/layer_predictors.h"

namespace expertscope {

/// Shadow predictions of generated tokens, made for several tokens at once: a decode step's few rows would fetch every
/// gate four times over to use it for one token, and that costs more than everything else that is recorded. So the
/// routers' inputs are kept for up to kTokens tokens or for kLongest, whichever ends first, and then all gates run over
/// them in one go: on a thread and a lane of its own while the next ones are kept, or, where the run's threads leave it
/// no processor and it would only hold them up, with these. The numbers do not depend on that (see Kernels); only when
/// they are told does.
///
/// Everything but the spans of that thread is told on the thread that calls.
class ShadowPredictions {
public:
    static constexpr int kTokens = 16;
    static constexpr Nanoseconds kLongest{50'000'000};
    static constexpr LaneId kLane{201};

    struct Options {
        const PreparedData* prepared = nullptr;  ///< may be null; outlives this
        int told = 3;                            ///< how many layers ahead the next gates are told
        int ownGateWidth = 0;                    ///< how many choices of a layer's own gate are told
        bool beside = false;                     ///< on a thread of its own
    };
    /// Whether a run on so many threads leaves a processor for a thread of its own.
    static bool roomBeside(int threads) { return ThreadPool::availableCpus() > threads; }

    /// The references outlive this.
    ShadowPredictions(const ModelConfig& config, const DenseWeights& weights, const ParallelMath& math,
                      const Options& options, const RecordSet& record, Observer& observer);
    ~ShadowPredictions();
    ShadowPredictions(const ShadowPredictions&) = delete;
    ShadowPredictions& operator=(const ShadowPredictions&) = delete;

    bool beside() const { return m_beside; }
    /// Keeps the normalised input [H] of `layer`'s experts for a token; every layer of a step in order.
    void keep(StepIndex step, TokenIndex token, LayerIndex layer, const float* hidden, Nanoseconds now);
    /// After a step's last layer: tells what has been made, and hands over what is kept where it is time to.
    void advance(Nanoseconds now);
    /// Tells the predictions of all kept tokens; waits until they are made.
    void tellAll();

private:
    struct Batch {
        std::vector<PredictionRow> rows;
        std::vector<float> inputs;              ///< [layers, kTokens, H]
        std::vector<PredictionRecord> records;  ///< [rows, records a token], in order of step and layer
    };
    enum State : int { Idle, Given, Made, Ended };

    void work();
    void make();
    void makeLayer(int layer, LayerPredictors& predictors);
    void tellMade();
    void handOver();
    void waitUntilMade();
    void turn(State state);

    const ModelConfig* m_config;
    int m_ownGateWidth;
    RecordSet m_record;
    Observer* m_observer;
    ThreadPool* m_runPool;
    ThreadPool m_alone{1};
    ParallelMath m_math;                        ///< of one thread
    std::vector<LayerPredictors> m_predictors;  ///< one for each thread that makes them
    std::vector<std::size_t> m_columns;         ///< [layers + 1] where a layer's records are among a token's
    bool m_beside;
    Batch m_kept, m_given;  ///< m_given is the thread's while m_state is Given
    Nanoseconds m_since;    ///< when the first of those kept was kept
    std::atomic<State> m_state{Idle};
    std::thread m_thread;  // last: it uses all of the above
};

}  // namespace expertscope
