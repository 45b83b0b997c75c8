// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <atomic>
#include <thread>
#include <vector>

#include "engine/inference/layer_predictors.h"

namespace expertscope {

/// Shadow predictions of generated tokens, made for several tokens at once: a decode step's few rows would fetch every
/// gate four times over to use it for one token, and that costs more than everything else that is recorded. So the
/// routers' inputs are kept for up to kTokens tokens or for kLongest, whichever ends first, and while the next ones are
/// kept all gates run over them: on a thread and a lane of its own, or, where the run's threads leave it no processor,
/// piece by piece by the run's workers, in the moments in which they wait for their next loop (makePiece()). What is
/// left when the next tokens have been kept is made at once. The numbers do not depend on that (see Kernels); only when
/// they are told does.
///
/// Everything but spans is told on the thread that calls.
class ShadowPredictions {
public:
    static constexpr int kTokens = 32;
    static constexpr Nanoseconds kLongest{50'000'000};
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
    /// After a step's last layer: tells what has been made, and hands over what is kept where it is time to.
    void advance(Nanoseconds now);
    /// Tells the predictions of all kept tokens; waits until they are made.
    void tellAll();
    /// For a worker of the run that has a moment, where there is no thread for it: makes a piece of what was handed
    /// over.
    void makePiece(int worker) { makeSome(worker, 1); }

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
        std::vector<float> inputs;              ///< [layers, kTokens, H]
        std::vector<PredictionRecord> records;  ///< [rows, records a token], in order of step and layer
    };
    struct Scratch {
        std::vector<float> logits;      ///< [kTokens, E]
        std::vector<float> ranking;     ///< [E]
        std::vector<ExpertId> experts;  ///< [largest width]
        std::vector<float> scores;      ///< likewise
    };

    void addSource(LayerIndex layer, const ToldPredictor& predictor, int width);
    void work();
    void makeSome(int worker, int most);
    const Source& sourceOf(int piece) const;
    int make(int piece, Scratch& scratch);
    bool take(int& piece);
    void tellMade();
    void handOver();
    void finish();

    const ModelConfig* m_config;
    const Kernels* m_kernels;
    ThreadPool* m_pool;
    RecordSet m_record;
    Observer* m_observer;
    bool m_beside;
    int m_rowsAPiece;  ///< tokens of one predictor that are made in one piece
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
