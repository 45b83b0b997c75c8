// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <vector>

#include "engine/base/events.h"

namespace expertscope {

class SessionWriter;

/// Writes what one thread tells straight into a session, without rings: for a teller that may wait, since what it takes
/// from is a queue itself. Throws FailedError when the session cannot be written.
class DirectRecorder : public Observer {
public:
    /// `writer` is in a run.
    explicit DirectRecorder(SessionWriter& writer) : m_writer(&writer) {}

    void onLane(const LaneInfo&) override;
    void onRangeName(const RangeName&) override;
    void onModel(const ModelFacts&) override;
    void onSpan(const SpanRecord&) override;
    void onSelections(std::span<const SelectionRecord>) override;
    void onToken(const TokenRecord&) override;
    void onRequest(const RequestRecord&) override;
    void onDiagnostic(const DiagnosticRecord&) override;

    /// Makes what was told visible, at most about every 100 ms; at once with `now`.
    void commit(bool now = false);

private:
    void flush();

    SessionWriter* m_writer;
    std::vector<SpanRecord> m_spans;
    Nanoseconds m_committed;
};

}  // namespace expertscope
