// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/inference/shadow_predictions.h"

#include <algorithm>

#include "engine/base/annotation.h"
#include "engine/inference/router.h"

namespace expertscope {
namespace {

constexpr int kEnded = -1;
/// Tokens of one predictor that are made in one piece: enough to fetch its gate seldom, few enough for their logits to
/// stay near.
constexpr int kRowsAPiece = 32;

}  // namespace

ShadowPredictions::ShadowPredictions(const ModelConfig& config, const DenseWeights& weights,
                                     const LayerPredictors& predictors, const ParallelMath& math,
                                     const Options& options, const RecordSet& record, Observer& observer)
    : m_config(&config),
      m_kernels(&math.kernels()),
      m_pool(&math.pool()),
      m_record(record),
      m_observer(&observer),
      m_beside(options.beside),
      m_mostTokens(std::clamp<std::size_t>(
          kMostBytes / (static_cast<std::size_t>(config.layers * config.hidden) * sizeof(float)), 1, kMostTokens)) {
    for (LayerIndex layer(0); layer.value() < config.layers; layer = LayerIndex(layer.value() + 1)) {
        if (options.ownGateWidth > 0)
            addSource(layer, {PredictorKind::OwnGate, layer, weights.layers[layer.index()].gate},
                      std::min(options.ownGateWidth, config.experts));
        for (const ToldPredictor& predictor : predictors.told(layer))
            addSource(layer, predictor, config.topK);
    }
    const auto experts = static_cast<std::size_t>(config.experts);
    Scratch scratch{.logits = std::vector<float>(kRowsAPiece * experts),
                    .ranking = std::vector<float>(experts),
                    .experts = std::vector<ExpertId>(experts),
                    .scores = std::vector<float>(experts)};
    m_scratch.assign(m_beside ? 1 : static_cast<std::size_t>(m_pool->threads()), scratch);
    for (Batch* batch : {&m_kept, &m_given}) {
        batch->rows.reserve(m_mostTokens);
        batch->inputs.resize(static_cast<std::size_t>(config.layers * config.hidden) * m_mostTokens);
        batch->records.reserve(m_mostTokens * m_recordsAToken);
    }
    if (m_beside) m_thread = std::thread([this] { work(); });
}

ShadowPredictions::~ShadowPredictions() {
    if (!m_beside) return;
    m_untaken.store(kEnded);
    m_untaken.notify_one();
    m_thread.join();
}

void ShadowPredictions::addSource(LayerIndex layer, const ToldPredictor& predictor, int width) {
    m_sources.push_back({layer, predictor, width, m_recordsAToken});
    m_recordsAToken += static_cast<std::size_t>(width);
}

void ShadowPredictions::keep(StepIndex step, TokenIndex token, LayerIndex layer, const float* hidden, Nanoseconds now) {
    if (layer.value() == 0) {
        if (m_kept.rows.empty()) m_since = now;
        m_kept.rows.push_back({step, token});
    }
    const std::size_t at = layer.index() * m_mostTokens + m_kept.rows.size() - 1;
    std::copy_n(hidden, m_config->hidden, m_kept.inputs.data() + at * static_cast<std::size_t>(m_config->hidden));
}

void ShadowPredictions::advance(Nanoseconds now) {
    bool told = m_unfinished.load(std::memory_order_acquire) == 0 && tellMade();
    if (m_kept.rows.size() == m_mostTokens || (!m_kept.rows.empty() && now - m_since >= kLongest))
        told = handOver() || told;
    if (told) m_observer->onCaughtUp();
}

void ShadowPredictions::tellAll() {
    handOver();
    finish();
    tellMade();
}

/// Has what is kept made: by the thread beside while the next tokens are kept, else now. Says whether it told some.
bool ShadowPredictions::handOver() {
    finish();
    const bool told = tellMade();
    if (m_kept.rows.empty()) return told;
    std::swap(m_kept, m_given);
    m_given.records.resize(m_given.rows.size() * m_recordsAToken);
    m_groups = (static_cast<int>(m_given.rows.size()) + kRowsAPiece - 1) / kRowsAPiece;
    m_pieces = m_groups * static_cast<int>(m_sources.size());
    m_unfinished.store(m_pieces, std::memory_order_relaxed);
    m_untaken.store(m_pieces, std::memory_order_release);  // publishes all of it
    if (m_beside) {
        m_untaken.notify_one();
        return told;
    }
    m_pool->forEach(m_pool->threads(), [this](int, int worker) { makeAll(worker); });
    return tellMade();
}

/// Returns once all that is given is made.
void ShadowPredictions::finish() {
    for (int left; (left = m_unfinished.load(std::memory_order_acquire)) != 0;)
        m_unfinished.wait(left, std::memory_order_acquire);
}

/// Says whether there were any.
bool ShadowPredictions::tellMade() {
    if (m_given.rows.empty()) return false;
    m_observer->onPredictions(m_given.records);
    m_given.rows.clear();
    return true;
}

void ShadowPredictions::work() {
    for (;;) {
        makeAll(0);
        m_untaken.wait(0, std::memory_order_acquire);
        if (m_untaken.load(std::memory_order_acquire) == kEnded) return;
    }
}

/// Takes the next piece, where there is one. Only who holds a piece looks at what is given.
bool ShadowPredictions::take(int& piece) {
    int left = m_untaken.load(std::memory_order_acquire);
    while (left > 0)
        if (m_untaken.compare_exchange_weak(left, left - 1, std::memory_order_acq_rel, std::memory_order_acquire)) {
            piece = m_pieces - left;
            return true;
        }
    return false;
}

/// Makes pieces as long as there are any, and tells one span of them.
void ShadowPredictions::makeAll(int worker) {
    int piece = 0;
    if (!take(piece)) return;
    SpanAnnotation making({.start = m_record.spans ? sessionNow() : Nanoseconds(0),
                           .end = {},
                           .amount = static_cast<std::int64_t>(m_given.rows.size()),
                           .step = m_given.rows.back().step,
                           .lane = m_beside ? kLane : LaneId(worker),
                           .kind = SpanKind::Predict});
    int made = 0;
    do {
        make(piece, m_scratch[static_cast<std::size_t>(worker)]);
        ++made;
    } while (take(piece));
    making.end(m_record.spans ? sessionNow() : Nanoseconds(0), m_record.spans ? m_observer : nullptr);
    if (m_unfinished.fetch_sub(made, std::memory_order_acq_rel) == made) m_unfinished.notify_one();
}

/// A predictor over some of the tokens. Pieces that follow one another share a gate.
void ShadowPredictions::make(int piece, Scratch& scratch) {
    const auto total = static_cast<int>(m_given.rows.size());
    const Source& source = m_sources[static_cast<std::size_t>(piece / m_groups)];
    const int first = piece % m_groups * kRowsAPiece;
    const int count = std::min(kRowsAPiece, total - first);
    const std::size_t at = source.layer.index() * m_mostTokens + static_cast<std::size_t>(first);
    m_kernels->matmul(source.predictor.gate, m_given.inputs.data() + at * static_cast<std::size_t>(m_config->hidden),
                      count, 0, m_config->experts, scratch.logits.data());
    const auto width = static_cast<std::size_t>(source.width);
    for (int t = 0; t < count; ++t) {
        const std::size_t row = static_cast<std::size_t>(first) + static_cast<std::size_t>(t);
        chooseExperts(*m_kernels, scratch.logits.data() + t * m_config->experts, m_config->experts, source.width, false,
                      scratch.ranking.data(), scratch.experts.data(), scratch.scores.data());
        writePrediction({.step = m_given.rows[row].step,
                         .token = m_given.rows[row].token,
                         .fromLayer = source.layer,
                         .targetLayer = source.predictor.target,
                         .expert = {},
                         .predictor = source.predictor.kind},
                        std::span(scratch.experts).first(width), scratch.scores.data(),
                        m_given.records.data() + row * m_recordsAToken + source.column);
    }
}

}  // namespace expertscope
