// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "engine/base/run_facts.h"
#include "storage/session_reader.h"

namespace expertscope {

/// The records of one run in memory, following the file while it grows: the input of every analysis and view.
class RunTrace {
public:
    /// Reads what there is so far. `reader` must outlive the trace. Throws BadInputError when the session has no such
    /// run.
    RunTrace(const SessionReader& reader, RunId run);
    /// Reads about `most` records, so that it returns soon; what is left is brought by append(), as another reader of
    /// the file gives it from cursor() on.
    RunTrace(const SessionReader& reader, RunId run, std::size_t most);
    /// These records and what a session says of their run, whole as they are: part of a run.
    RunTrace(RunEntry entry, std::vector<LaneInfo> lanes, std::vector<RangeName> rangeNames, RecordBatch records);

    /// Appends what was recorded since; true when anything changed. Cheap when nothing did. Addresses of the vectors
    /// stay, their elements move. Reads no records until the trace is whole, and about `most` of them, so that it
    /// returns soon: where there are more, the trace is whole again when append() has brought them.
    bool refresh(std::size_t most = std::numeric_limits<std::size_t>::max());
    /// False while records that the file has are still to be brought by append().
    bool isWhole() const { return m_whole; }
    const ReadCursor& cursor() const { return m_cursor; }
    /// Makes room for so many records, so that bringing them moves none.
    void reserve(const RecordCounts& counts);
    /// Takes over what was read up to `cursor`; an empty batch was the last one.
    void append(RecordBatch batch, const ReadCursor& cursor);
    /// Counts refreshes that brought something: what was computed from an older revision is stale.
    std::int64_t revision() const { return m_revision; }

    const RunEntry& entry() const { return m_entry; }
    const ModelFacts& model() const { return m_entry.description.model; }
    const std::vector<RequestRecord>& requests() const { return m_requests; }
    const std::vector<LaneInfo>& lanes() const { return m_lanes; }
    /// By their ids; empty where no ranges were recorded.
    const std::vector<RangeName>& rangeNames() const { return m_rangeNames; }
    const std::vector<DiagnosticRecord>& diagnostics() const { return m_diagnostics; }
    const std::vector<SpanRecord>& spans() const { return m_records.spans; }
    const std::vector<SelectionRecord>& selections() const { return m_records.selections; }
    const std::vector<PredictionRecord>& predictions() const { return m_records.predictions; }
    const std::vector<ResidencyRecord>& residency() const { return m_records.residency; }
    const std::vector<TransferRecord>& transfers() const { return m_records.transfers; }
    const std::vector<TokenRecord>& tokens() const { return m_records.tokens; }

private:
    bool refreshEntry();
    bool refreshRecords(std::size_t most);
    void take(RecordBatch& batch);
    bool refreshRows();

    const SessionReader* m_reader;  ///< null: nothing will come
    bool m_whole = true;
    std::int64_t m_dataVersion = -1;
    ReadCursor m_cursor;
    RunEntry m_entry;
    RecordBatch m_records;
    std::vector<RequestRecord> m_requests;
    std::vector<LaneInfo> m_lanes;
    std::vector<RangeName> m_rangeNames;
    bool m_namesAreMissing = false;  ///< a range has a name that is not read yet
    std::vector<DiagnosticRecord> m_diagnostics;
    std::int64_t m_revision = 0;
};

}  // namespace expertscope
