// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QString>
#include <map>
#include <vector>

#include "profiler/analysis/run_trace.h"
#include "profiler/analysis/time_split.h"

namespace expertscope {

/// A line of "what was run": a name, its value, and the exact value where the shown one is rounded.
struct OverviewFact {
    QString name, value, exact;
    bool operator==(const OverviewFact&) const = default;
};

/// What one request made.
struct OverviewText {
    QString title;  ///< label or number, tokens, how it stopped
    QString prompt;
    QString text;  ///< generated so far
    bool operator==(const OverviewText&) const = default;
};

struct OverviewNote {
    Severity severity = Severity::Info;
    QString text;
    bool operator==(const OverviewNote&) const = default;
};

/// A run at a glance. The figures are the run's own summary once it has ended; until then, and for a run that ended
/// early, they are counted from the trace so far, with the same meaning. An update costs O(new records).
class OverviewModel {
public:
    /// Shows another run, or none.
    void setTrace(const RunTrace* trace);
    /// Takes in what the run has gained.
    void update();

    bool hasRun() const { return m_trace != nullptr; }
    const RunTrace* trace() const { return m_trace; }
    /// Counts, bytes, times and speeds; see RunSummary.
    const RunSummary& figures() const { return m_figures; }
    /// False once the run's own summary is shown.
    bool fromTrace() const { return m_fromTrace; }
    bool exact() const { return m_trace->entry().description.exact; }
    bool paced() const { return !m_trace->entry().description.link.empty(); }
    QString policy() const;
    /// How the run stands, one sentence.
    QString stateSentence() const;
    RunState state() const { return m_trace->entry().state; }

    std::vector<OverviewFact> facts() const;
    std::vector<OverviewText> texts() const;
    std::vector<OverviewNote> notes() const;
    /// Tokens a second at each generated token, over up to eight tokens.
    std::vector<TokenRate> rates() const;

private:
    void readSelections();
    void readTransfers();
    void readSpans();
    void readTokens();
    void finishFigures();
    void speeds();

    const RunTrace* m_trace = nullptr;
    bool m_fromTrace = true;
    RunSummary m_figures;
    RunSummary m_counted;  ///< from the trace alone
    std::size_t m_selectionsRead = 0, m_transfersRead = 0, m_spansRead = 0, m_tokensRead = 0;
    Nanoseconds m_first, m_last, m_phases, m_wait;
    std::map<std::int32_t, std::string> m_generated;  ///< bytes by request
};

}  // namespace expertscope
