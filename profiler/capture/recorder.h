// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <filesystem>
#include <memory>

#include "engine/base/events.h"
#include "engine/base/run_facts.h"

namespace expertscope {

class SessionWriter;

/// Carries what the engine tells into a session file: one single-producer ring a thread, one writer thread that commits
/// about every 100 ms. A producer never blocks; what does not fit is dropped, counted and told as a diagnostic with the
/// interval of loss.
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
