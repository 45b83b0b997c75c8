// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <chrono>
#include <functional>

#include "app/cli/progress.h"
#include "engine/base/events.h"

namespace expertscope {

class Engine;
class Recorder;

/// Stands between an engine and its recorder: hands everything on, counts the tokens for the progress, and stops the
/// engine when the recorder cannot write any more.
class RunWatcher : public Observer {
public:
    RunWatcher(Progress& progress, ProgressState state) : m_progress(progress), m_state(std::move(state)) {}

    /// Where records go from now on; null (nothing is recorded) until it is called.
    void recordTo(Recorder* recorder) { m_recorder = recorder; }
    /// Which engine to stop, and how many tokens it will make; called before it starts.
    void watch(Engine* engine, std::int64_t plannedTokens) {
        m_engine = engine;
        m_state.planned = plannedTokens;
    }
    /// Whether the recorder's failure has stopped the run.
    bool recorderFailed() const { return m_recorderFailed; }
    const ProgressState& state() const { return m_state; }

    void onLane(const LaneInfo&) override;
    void onSpan(const SpanRecord&) override;
    void onSelections(std::span<const SelectionRecord>) override;
    void onResidency(const ResidencyRecord&) override;
    void onTransfer(const TransferRecord&) override;
    void onPredictions(std::span<const PredictionRecord>) override;
    void onToken(const TokenRecord&) override;
    void onRequest(const RequestRecord&) override;
    void onDiagnostic(const DiagnosticRecord&) override;
    void onCaughtUp() override;

private:
    void countGenerated(Nanoseconds now);

    Progress& m_progress;
    ProgressState m_state;
    Recorder* m_recorder = nullptr;
    Engine* m_engine = nullptr;
    bool m_recorderFailed = false;
    std::int32_t m_promptTokens = 0;  ///< of the current request
    Nanoseconds m_requestStart;
    Nanoseconds m_generating;  ///< time that ended requests took
    Nanoseconds m_lastTold;
};

}  // namespace expertscope
