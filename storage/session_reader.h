// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/run_facts.h"
#include "storage/summaries.h"

namespace expertscope {

/// A run as the file tells it.
struct RunEntry {
    RunId id;
    RunDescription description;
    RunState state = RunState::Running;  ///< a writer that is gone without closing reads as Crashed
    std::optional<RunSummary> summary;   ///< present once the run has ended
};

/// Records of one run that one call brought; every vector in order of recording.
struct RecordBatch {
    std::vector<SpanRecord> spans;
    std::vector<SelectionRecord> selections;
    std::vector<PredictionRecord> predictions;
    std::vector<ResidencyRecord> residency;
    std::vector<TransferRecord> transfers;
    std::vector<TokenRecord> tokens;
    bool empty() const { return size() == 0; }
    std::size_t size() const;
};

/// How many records of each kind a run has in the file.
struct RecordCounts {
    std::int64_t spans = 0;  ///< ranges included
    std::int64_t selections = 0, predictions = 0, residency = 0, transfers = 0;
    std::int64_t all() const { return spans + selections + predictions + residency + transfers; }
};

/// How far a follower of a growing run has read. Default: from the start.
struct ReadCursor {
    std::int64_t lastChunk = 0;   ///< row of the last columnar chunk that was read
    std::int64_t lastToken = -1;  ///< index of the last token that was read
};

/// Reads a session file, also while another process writes it (WAL). Every call is one short read transaction.
class SessionReader {
public:
    /// Throws BadInputError when the file is missing, not a session, damaged, or of a newer format (both versions
    /// named).
    explicit SessionReader(const std::filesystem::path& file);
    ~SessionReader();
    SessionReader(SessionReader&&) noexcept;
    SessionReader& operator=(SessionReader&&) noexcept;

    const std::filesystem::path& file() const;
    std::vector<RunEntry> runs() const;
    RunEntry run(RunId id) const;
    std::vector<RequestRecord> requests(RunId id) const;
    std::vector<LaneInfo> lanes(RunId id) const;
    /// By id, from 0; empty where no ranges were recorded.
    std::vector<RangeName> rangeNames(RunId id) const;
    std::vector<DiagnosticRecord> diagnostics(RunId id) const;
    /// What was recorded after `cursor`, which moves on. `maxChunks` bounds one call's work; call until empty().
    RecordBatch readNew(RunId id, ReadCursor& cursor, int maxChunks = 256) const;
    /// Counted from what the chunks say of themselves: none is read.
    RecordCounts recordCounts(RunId id) const;
    /// From the start of the first span or range to the end of the last; nothing where there are none.
    std::optional<std::pair<Nanoseconds, Nanoseconds>> spanExtent(RunId id) const;
    /// The spans, ranges and transfers that have a part in [from, to), each in order of recording (of a transfer that
    /// never finished its start is known); nothing where the
    /// chunks that may hold them hold more than `most` records.
    std::optional<RecordBatch> spansBetween(RunId id, Nanoseconds from, Nanoseconds to, std::int64_t most) const;
    /// What spans did in [from, to), widened to whole buckets, in at most `pixels` + 1 buckets of time. Exact, and
    /// quick whatever the size of a run that has ended: wide windows come from its summary, narrow ones from the
    /// chunks.
    SpanWindow spanWindow(RunId id, Nanoseconds from, Nanoseconds to, int pixels) const;
    /// The same of transfers on demand and by prefetch, read from their chunks; one that never finished has only its
    /// row.
    TransferWindow transferWindow(RunId id, Nanoseconds from, Nanoseconds to, int pixels) const;
    /// The same of selections, in buckets of tokens.
    SelectionWindow selectionWindow(RunId id, TokenIndex from, TokenIndex to, int pixels) const;
    /// Changes whenever another connection has committed to the file (cheap: PRAGMA data_version).
    std::int64_t dataVersion() const;
    /// Size of the file with its WAL.
    Bytes sizeOnDisk() const;

private:
    struct Impl;
    std::unique_ptr<Impl> m_impl;
};

}  // namespace expertscope
