// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/analysis/run_trace.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace expertscope {

namespace {

constexpr std::size_t kChunksAtOnce = 256;
constexpr std::size_t kRecordsOfAChunk = 4096;

template <class Record>
void appendAll(std::vector<Record>& to, std::vector<Record>& from) {
    to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
}

bool sameRequest(const RequestRecord& a, const RequestRecord& b) {
    return a.promptTokens == b.promptTokens && a.generatedTokens == b.generatedTokens && a.end == b.end &&
           a.firstTokenTime == b.firstTokenTime && a.stopped == b.stopped;
}

}  // namespace

RunTrace::RunTrace(const SessionReader& reader, RunId run) : m_reader(&reader), m_entry(reader.run(run)) { refresh(); }

RunTrace::RunTrace(const SessionReader& reader, RunId run, std::size_t most)
    : m_reader(&reader), m_entry(reader.run(run)) {
    m_dataVersion = reader.dataVersion();
    m_rangeNames = reader.rangeNames(run);
    refreshRecords(most);
    ++m_revision;
}

RunTrace::RunTrace(RunEntry entry, std::vector<LaneInfo> lanes, std::vector<RangeName> rangeNames, RecordBatch records)
    : m_reader(nullptr),
      m_entry(std::move(entry)),
      m_records(std::move(records)),
      m_lanes(std::move(lanes)),
      m_rangeNames(std::move(rangeNames)) {}

bool RunTrace::refresh(std::size_t most) {
    if (!m_reader) return false;
    // Read before the records: what is committed in between is read again next time rather than missed.
    const std::int64_t version = m_reader->dataVersion();
    bool changed = false;
    // A writer that dies commits nothing, so the state of a running run is asked for in any case.
    if (version != m_dataVersion || m_entry.state == RunState::Running) changed = refreshEntry();
    if (m_whole) {
        if (version != m_dataVersion) changed = refreshRecords(most) || changed;
        m_dataVersion = version;
    }
    if (changed) ++m_revision;
    return changed;
}

void RunTrace::reserve(const RecordCounts& counts) {
    const auto room = []<class Record>(std::vector<Record>& records, std::int64_t count) {
        records.reserve(std::max(records.size(), static_cast<std::size_t>(count)));
    };
    room(m_records.spans, counts.spans);
    room(m_records.selections, counts.selections);
    room(m_records.predictions, counts.predictions);
    room(m_records.residency, counts.residency);
    room(m_records.transfers, counts.transfers);
}

void RunTrace::append(RecordBatch batch, const ReadCursor& cursor) {
    if (batch.empty()) {
        m_whole = true;
        m_dataVersion = -1;  // what came while the rest was brought is still to be read
    } else {
        take(batch);
        m_cursor = cursor;
    }
    ++m_revision;
}

bool RunTrace::refreshEntry() {
    RunEntry entry = m_reader->run(m_entry.id);
    const bool changed = entry.state != m_entry.state || entry.summary.has_value() != m_entry.summary.has_value();
    m_entry = std::move(entry);
    return changed;
}

void RunTrace::take(RecordBatch& batch) {
    m_namesAreMissing =
        m_namesAreMissing || std::ranges::any_of(batch.spans, [&](const SpanRecord& span) {
            return span.kind == SpanKind::Range && span.name.value() >= static_cast<int>(m_rangeNames.size());
        });
    appendAll(m_records.spans, batch.spans);
    appendAll(m_records.selections, batch.selections);
    appendAll(m_records.predictions, batch.predictions);
    appendAll(m_records.residency, batch.residency);
    appendAll(m_records.transfers, batch.transfers);
    appendAll(m_records.tokens, batch.tokens);
}

bool RunTrace::refreshRecords(std::size_t most) {
    bool changed = false;
    m_whole = false;
    const auto chunks = static_cast<int>(std::clamp<std::size_t>(most / kRecordsOfAChunk, 1, kChunksAtOnce));
    for (std::size_t read = 0; !m_whole && read < most;) {
        RecordBatch batch = m_reader->readNew(m_entry.id, m_cursor, chunks);
        m_whole = batch.empty();
        read += batch.size();
        take(batch);
        changed = changed || !m_whole;
    }
    return refreshRows() || changed;
}

/// Reads what is kept in rows of its own and may change.
bool RunTrace::refreshRows() {
    auto requests = m_reader->requests(m_entry.id);
    auto lanes = m_reader->lanes(m_entry.id);
    auto diagnostics = m_reader->diagnostics(m_entry.id);
    if (std::exchange(m_namesAreMissing, false)) m_rangeNames = m_reader->rangeNames(m_entry.id);
    const bool changed = !std::ranges::equal(requests, m_requests, sameRequest) || lanes.size() != m_lanes.size() ||
                         diagnostics.size() != m_diagnostics.size();
    m_requests = std::move(requests);
    m_lanes = std::move(lanes);
    m_diagnostics = std::move(diagnostics);
    return changed;
}

}  // namespace expertscope
