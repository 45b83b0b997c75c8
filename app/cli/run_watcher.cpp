// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/cli/run_watcher.h"

#include "engine/inference/engine.h"
#include "profiler/capture/recorder.h"

namespace expertscope {
namespace {

constexpr Nanoseconds kProgressInterval{100'000'000};

}  // namespace

void RunWatcher::onLane(const LaneInfo& lane) {
    if (m_recorder != nullptr) m_recorder->onLane(lane);
}
void RunWatcher::onSpan(const SpanRecord& span) {
    if (m_recorder != nullptr) m_recorder->onSpan(span);
}
void RunWatcher::onSelections(std::span<const SelectionRecord> selections) {
    if (m_recorder != nullptr) m_recorder->onSelections(selections);
}
void RunWatcher::onResidency(const ResidencyRecord& change) {
    if (m_recorder != nullptr) m_recorder->onResidency(change);
}
void RunWatcher::onTransfer(const TransferRecord& transfer) {
    if (m_recorder != nullptr) m_recorder->onTransfer(transfer);
}
void RunWatcher::onPredictions(std::span<const PredictionRecord> predictions) {
    if (m_recorder != nullptr) m_recorder->onPredictions(predictions);
}
void RunWatcher::onDiagnostic(const DiagnosticRecord& diagnostic) {
    if (m_recorder != nullptr) m_recorder->onDiagnostic(diagnostic);
}
void RunWatcher::onCaughtUp() {
    if (m_recorder != nullptr) m_recorder->onCaughtUp();
}

void RunWatcher::onRequest(const RequestRecord& request) {
    if (m_recorder != nullptr) m_recorder->onRequest(request);
    m_state.request = request.request.value();
    m_state.label = request.label;
    m_promptTokens = request.promptTokens;
    if (request.stopped.empty()) {
        m_requestStart = sessionNow();
    } else {
        m_generating += sessionNow() - m_requestStart;
        m_requestStart = Nanoseconds{};
    }
}

void RunWatcher::onToken(const TokenRecord& token) {
    if (m_recorder != nullptr) {
        m_recorder->onToken(token);
        if (!m_recorderFailed && m_recorder->failed()) {
            m_recorderFailed = true;
            if (m_engine != nullptr) m_engine->requestStop();
        }
    }
    if (token.position >= m_promptTokens) countGenerated(sessionNow());
}

void RunWatcher::countGenerated(Nanoseconds now) {
    ++m_state.generated;
    if (now - m_lastTold < kProgressInterval) return;
    m_lastTold = now;
    Nanoseconds spent = m_generating;
    if (m_requestStart.count() > 0) spent += now - m_requestStart;
    m_state.tokensPerSecond =
        spent.count() > 0 ? static_cast<double>(m_state.generated) * 1e9 / static_cast<double>(spent.count()) : 0;
    m_progress.advanced(m_state);
}

}  // namespace expertscope
