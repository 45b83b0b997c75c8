// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <atomic>
#include <thread>
#include <vector>

#include "engine/inference/layer_predictors.h"

namespace expertscope {

/// Shadow predictions of generated tokens, made for many tokens at once and late: a decode step's few rows would fetch
/// every gate again to use it for one token, and whatever is computed between two steps is missing from the decode that
/// is being looked at. So the routers' inputs are kept until the request ends or, in a long one, until kLongest has
/// passed or kMostTokens or kMostBytes are kept. Then all gates run over them: by the run's threads at once or, where
/// these leave a processor, on a thread and a lane of its own while the next tokens are kept. The numbers do not depend
/// on that (see Kernels); only when they are told does.
///
/// Everything but spans is told on the thread that calls.
class ShadowPredictions {
public:
    static constexpr int kMostTokens = 256;
    static constexpr std::size_t kMostBytes = 16 << 20;  ///< of inputs
    static constexpr Nanoseconds kLongest{120'000'000};
    static constexpr LaneId kLane{201};

    struct Options {
        int ownGateWidth = 0;  ///< how many choices of a layer's own gate are told
        bool beside = false;   ///< on a thread of its own
    };
    /// Whether a run on so many threads leaves a processor for a thread of its own.
    static bool roomBeside(int threads) { return ThreadPool::availableCpus() > threads; }

    /// What `predictors` tells of a layer's input. The references outlive this.
    ShadowPredictions(const ModelConfig& config, const DenseWeights& weights, const LayerPredictors& predictors,
                      const ParallelMath& math, const Options& options, const RecordSet& record, Observer& observer);
    ~ShadowPredictions();
    ShadowPredictions(const ShadowPredictions&) = delete;
    ShadowPredictions& operator=(const ShadowPredictions&) = delete;

    bool beside() const { return m_beside; }
    /// Keeps the normalised input [H] of `layer`'s experts for a token; every layer of a step in order.
    void keep(StepIndex step, TokenIndex token, LayerIndex layer, const float* hidden, Nanoseconds now);
    /// After a step's last layer: has made what is kept, where it is time to, and tells what has been made.
    void advance(Nanoseconds now);
    /// Tells the predictions of all kept tokens; waits until they are made.
    void tellAll();

private:
    /// A predictor of one layer; its choices of a token stand from `column` on among that token's records.
    struct Source {
        LayerIndex layer;
        ToldPredictor predictor;
        int width = 0;  ///< choices a token
        std::size_t column = 0;
    };
    /// Whose input it is.
    struct Row {
        StepIndex step;
        TokenIndex token;
    };
    struct Batch {
        std::vector<Row> rows;
        std::vector<float> inputs;              ///< [layers, m_mostTokens, H]
        std::vector<PredictionRecord> records;  ///< [rows, records a token], in order of step and layer
    };
    struct Scratch {
        std::vector<float> logits;      ///< [kRowsAPiece, E]
        std::vector<float> ranking;     ///< [E]
        std::vector<ExpertId> experts;  ///< [largest width]
        std::vector<float> scores;      ///< likewise
    };

    void addSource(LayerIndex layer, const ToldPredictor& predictor, int width);
    void work();
    void makeAll(int worker);
    void make(int piece, Scratch& scratch);
    bool take(int& piece);
    bool tellMade();
    bool handOver();
    void finish();

    const ModelConfig* m_config;
    const Kernels* m_kernels;
    ThreadPool* m_pool;
    RecordSet m_record;
    Observer* m_observer;
    bool m_beside;
    std::size_t m_mostTokens;  ///< that are kept
    std::vector<Source> m_sources;
    std::size_t m_recordsAToken = 0;
    std::vector<Scratch> m_scratch;  ///< of every thread that makes pieces
    Batch m_kept, m_given;           ///< m_given is theirs until no piece is unfinished
    Nanoseconds m_since;             ///< when the first of those kept was kept
    int m_groups = 0;                ///< of the tokens that are given: pieces a predictor
    int m_pieces = 0;                ///< of all predictors
    std::atomic<int> m_untaken{0};   ///< of those; kEnded ends the thread
    std::atomic<int> m_unfinished{0};
    std::thread m_thread;  // last: it uses all of the above
};

}  // namespace expertscope
