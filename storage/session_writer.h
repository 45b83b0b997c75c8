// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <filesystem>
#include <memory>
#include <span>

#include "engine/base/run_facts.h"

namespace expertscope {

/// Writes runs into a session file, creating it or appending to it. Used from one thread at a time. Records are kept in
/// columnar chunks and reach the file at commit(); a crash loses what was not committed and nothing else.
class SessionWriter {
public:
    /// Creates `file` or opens it to append; marks runs whose writer is gone as crashed. Throws FailedError when it
    /// cannot be written (folder missing, read-only, full), BadInputError when it exists and is no session of this
    /// format.
    explicit SessionWriter(const std::filesystem::path& file);
    ~SessionWriter();
    SessionWriter(const SessionWriter&) = delete;
    SessionWriter& operator=(const SessionWriter&) = delete;

    RunId beginRun(const RunDescription& description);
    /// Tells of the run's model what was not known when it began.
    void setModel(const ModelFacts& model);
    void append(std::span<const SpanRecord> records);
    void append(std::span<const SelectionRecord> records);
    void append(std::span<const PredictionRecord> records);
    void append(std::span<const ResidencyRecord> records);
    void append(std::span<const TransferRecord> records);
    void append(std::span<const TokenRecord> records);
    void append(const LaneInfo& lane);
    void append(const RangeName& name);
    /// Inserts the request or, told again, updates it.
    void append(const RequestRecord& request);
    void append(const DiagnosticRecord& diagnostic);
    /// Makes everything appended so far durable and visible to readers. Retries while another connection holds the
    /// file.
    void commit();
    void endRun(const RunSummary& summary, RunState state);
    /// Truncates the WAL, so that the session is one file.
    void close();

private:
    struct Impl;
    std::unique_ptr<Impl> m_impl;
};

}  // namespace expertscope
