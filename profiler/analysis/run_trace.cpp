// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/analysis/run_trace.h"

#include <algorithm>
#include <iterator>

namespace expertscope {

namespace {

template <class Record>
void appendAll(std::vector<Record>& to, std::vector<Record>& from) {
    to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
}

bool sameRequest(const RequestRecord& a, const RequestRecord& b) {
    return a.promptTokens == b.promptTokens && a.generatedTokens == b.generatedTokens && a.end == b.end &&
           a.firstTokenTime == b.firstTokenTime && a.stopped == b.stopped;
}

}  // namespace

RunTrace::RunTrace(const SessionReader& reader, RunId run) : m_reader(&reader) {
    m_entry = reader.run(run);
    refresh();
}

bool RunTrace::refresh() {
    // Read before the records: what is committed in between is read again next time rather than missed.
    const std::int64_t version = m_reader->dataVersion();
    bool changed = false;
    // A writer that dies commits nothing, so the state of a running run is asked for in any case.
    if (version != m_dataVersion || m_entry.state == RunState::Running) changed = refreshEntry();
    if (version != m_dataVersion) changed = refreshRecords() || changed;
    m_dataVersion = version;
    if (changed) ++m_revision;
    return changed;
}

bool RunTrace::refreshEntry() {
    RunEntry entry = m_reader->run(m_entry.id);
    const bool changed = entry.state != m_entry.state || entry.summary.has_value() != m_entry.summary.has_value();
    m_entry = std::move(entry);
    return changed;
}

bool RunTrace::refreshRecords() {
    bool changed = false, namesAreMissing = false;
    for (RecordBatch batch = m_reader->readNew(m_entry.id, m_cursor); !batch.empty();
         batch = m_reader->readNew(m_entry.id, m_cursor)) {
        namesAreMissing =
            namesAreMissing || std::ranges::any_of(batch.spans, [&](const SpanRecord& span) {
                return span.kind == SpanKind::Range && span.name.value() >= static_cast<int>(m_rangeNames.size());
            });
        appendAll(m_records.spans, batch.spans);
        appendAll(m_records.selections, batch.selections);
        appendAll(m_records.predictions, batch.predictions);
        appendAll(m_records.residency, batch.residency);
        appendAll(m_records.transfers, batch.transfers);
        appendAll(m_records.tokens, batch.tokens);
        changed = true;
    }
    auto requests = m_reader->requests(m_entry.id);
    auto lanes = m_reader->lanes(m_entry.id);
    auto diagnostics = m_reader->diagnostics(m_entry.id);
    if (namesAreMissing) m_rangeNames = m_reader->rangeNames(m_entry.id);
    changed = changed || !std::ranges::equal(requests, m_requests, sameRequest) || lanes.size() != m_lanes.size() ||
              diagnostics.size() != m_diagnostics.size();
    m_requests = std::move(requests);
    m_lanes = std::move(lanes);
    m_diagnostics = std::move(diagnostics);
    return changed;
}

}  // namespace expertscope
