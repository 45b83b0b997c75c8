// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <filesystem>
#include <memory>

#include "engine/base/events.h"
#include "engine/base/run_facts.h"

namespace expertscope {

class SessionWriter;

/// Carries what the engine tells into a session file: one single-producer ring a thread, and one writer thread. It
/// writes when a request begins and when the engine has caught up (see Observer::onCaughtUp()), so that it seldom
/// disturbs a decode, but commits at the latest about 140 ms after the commit before. A producer never blocks; what
/// does not fit is dropped, counted and told as a diagnostic with the interval of loss.
class Recorder : public Observer {
public:
    /// Begins the run in `writer`, which must outlive the recorder and is used by its thread alone until finish().
    Recorder(SessionWriter& writer, const RunDescription& description);
    ~Recorder() override;

    RunId run() const;

    void onLane(const LaneInfo&) override;
    void onRangeName(const RangeName&) override;
    void onSpan(const SpanRecord&) override;
    void onSelections(std::span<const SelectionRecord>) override;
    void onResidency(const ResidencyRecord&) override;
    void onTransfer(const TransferRecord&) override;
    void onPredictions(std::span<const PredictionRecord>) override;
    void onToken(const TokenRecord&) override;
    void onRequest(const RequestRecord&) override;
    void onDiagnostic(const DiagnosticRecord&) override;
    void onCaughtUp() override;

    /// Waits until what is being written is written: between two requests, so that the next one runs undisturbed. Where
    /// little was told since the last commit nothing is being written, and it returns at once.
    void settle();
    /// Writes what is left, fills `summary`'s recording counts, ends the run, and rethrows what stopped the writer
    /// thread (a full disk, say) as FailedError. All engine threads must have stopped telling.
    void finish(RunSummary& summary, RunState state);
    /// What the writer thread has taken of a processor; 0 after finish().
    Nanoseconds processorTime() const;
    /// Whether the writer thread has failed; the engine's owner asks at every token and stops the run.
    bool failed() const;

private:
    struct Impl;
    std::unique_ptr<Impl> m_impl;
};

}  // namespace expertscope
