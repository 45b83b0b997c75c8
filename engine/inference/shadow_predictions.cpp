// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/inference/shadow_predictions.h"

#include <algorithm>

#include "engine/base/annotation.h"

namespace expertscope {

ShadowPredictions::ShadowPredictions(const ModelConfig& config, const DenseWeights& weights, const ParallelMath& math,
                                     const Options& options, const RecordSet& record, Observer& observer)
    : m_config(&config),
      m_ownGateWidth(std::min(options.ownGateWidth, config.experts)),
      m_record(record),
      m_observer(&observer),
      m_runPool(&math.pool()),
      m_math(math.kernels(), m_alone),
      m_beside(options.beside) {
    const int makers = m_beside ? 1 : m_runPool->threads();
    for (int maker = 0; maker < makers; ++maker)
        m_predictors.emplace_back(config, weights, m_math, kTokens, options.prepared, options.told);
    m_columns.push_back(0);
    for (int layer = 0; layer < config.layers; ++layer)
        m_columns.push_back(m_columns.back() + m_predictors[0].recordsPerToken(LayerIndex(layer), m_ownGateWidth));
    for (Batch* batch : {&m_kept, &m_given}) {
        batch->rows.reserve(kTokens);
        batch->inputs.resize(static_cast<std::size_t>(config.layers * kTokens) *
                             static_cast<std::size_t>(config.hidden));
        batch->records.reserve(kTokens * m_columns.back());
    }
    if (m_beside) m_thread = std::thread([this] { work(); });
}

ShadowPredictions::~ShadowPredictions() {
    waitUntilMade();
    turn(Ended);
    if (m_thread.joinable()) m_thread.join();
}

void ShadowPredictions::keep(StepIndex step, TokenIndex token, LayerIndex layer, const float* hidden, Nanoseconds now) {
    if (layer.value() == 0) {
        if (m_kept.rows.empty()) m_since = now;
        m_kept.rows.push_back({step, token});
    }
    const std::size_t at = layer.index() * kTokens + m_kept.rows.size() - 1;
    std::copy_n(hidden, m_config->hidden, m_kept.inputs.data() + at * static_cast<std::size_t>(m_config->hidden));
}

void ShadowPredictions::advance(Nanoseconds now) {
    if (m_state.load(std::memory_order_acquire) == Made) tellMade();
    if (m_kept.rows.size() == kTokens || (!m_kept.rows.empty() && now - m_since >= kLongest)) handOver();
}

void ShadowPredictions::tellAll() {
    handOver();
    waitUntilMade();
    tellMade();
}

/// Waits for those given before, where the thread is not done with them: it falls behind no further than that.
void ShadowPredictions::handOver() {
    waitUntilMade();
    tellMade();
    if (m_kept.rows.empty()) return;
    std::swap(m_kept, m_given);
    if (m_beside) return turn(Given);
    make();
    m_state.store(Made, std::memory_order_relaxed);
    tellMade();
}

void ShadowPredictions::tellMade() {
    if (m_state.load(std::memory_order_acquire) != Made) return;
    m_observer->onPredictions(m_given.records);
    m_given.rows.clear();
    m_state.store(Idle, std::memory_order_relaxed);  // the thread goes on waiting for the next
}

void ShadowPredictions::waitUntilMade() { m_state.wait(Given, std::memory_order_acquire); }

void ShadowPredictions::turn(State state) {
    m_state.store(state, std::memory_order_release);
    m_state.notify_all();
}

void ShadowPredictions::work() {
    for (;;) {
        State state = m_state.load(std::memory_order_acquire);
        for (; state != Given && state != Ended; state = m_state.load(std::memory_order_acquire))
            m_state.wait(state, std::memory_order_acquire);
        if (state == Ended) return;
        make();
        turn(Made);
    }
}

void ShadowPredictions::make() {
    SpanAnnotation making({.start = sessionNow(),
                           .end = {},
                           .amount = static_cast<std::int64_t>(m_given.rows.size()),
                           .step = m_given.rows.back().step,
                           .lane = m_beside ? kLane : LaneId(0),
                           .kind = SpanKind::Predict});
    m_given.records.resize(m_given.rows.size() * m_columns.back());
    if (m_beside) {
        for (int layer = 0; layer < m_config->layers; ++layer)
            makeLayer(layer, m_predictors[0]);
    } else {
        m_runPool->forEach(m_config->layers, [&](int layer, int worker) {
            makeLayer(layer, m_predictors[static_cast<std::size_t>(worker)]);
        });
    }
    making.end(sessionNow(), m_record.spans ? m_observer : nullptr);
}

void ShadowPredictions::makeLayer(int layer, LayerPredictors& predictors) {
    const auto first = static_cast<std::size_t>(layer * kTokens) * static_cast<std::size_t>(m_config->hidden);
    predictors.beginLayer(LayerIndex(layer), m_given.inputs.data() + first, static_cast<int>(m_given.rows.size()));
    if (m_ownGateWidth > 0) predictors.runOwnGate(m_ownGateWidth);
    predictors.write(m_given.rows, m_given.records.data() + m_columns[static_cast<std::size_t>(layer)],
                     m_columns.back());
}

}  // namespace expertscope
