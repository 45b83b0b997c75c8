// SPDX-License-Identifier: GPL-3.0-or-later
#include "storage/session_reader.h"

#include <algorithm>

#include <fmt/format.h>

#include "engine/base/error.h"
#include "storage/chunk_codec.h"
#include "storage/model_rows.h"
#include "storage/process_identity.h"
#include "storage/row_fields.h"
#include "storage/run_costs.h"
#include "storage/session_errors.h"
#include "storage/session_open.h"
#include "storage/summary_rows.h"

namespace expertscope {
namespace {

/// A running run whose writer is gone has crashed, whatever the file says.
RunState actualState(RunState stored, const ProcessIdentity& writer) {
    return stored == RunState::Running && !isAlive(writer) ? RunState::Crashed : stored;
}

constexpr const char* kRunOrder = "run_id, model_id, state, writer_pid, writer_start_ticks, writer_boot_id, ";

RunEntry readEntry(Database& database, const Statement& row) {
    RunEntry entry;
    entry.id = RunId(row.integer(0));
    const std::int64_t model = row.integer(1);
    const auto state = enumerator<RunState>(row.text(2));
    entry.state = actualState(state, {row.integer(3), row.integer(4), std::string(row.text(5))});
    RowReader read{row, 6};
    visitFields(read, entry.description);
    if (!row.isNull(read.index)) visitFields(read, entry.summary.emplace());
    entry.description.model = readModel(database, model);
    entry.description.costs = readCosts(database, entry.id.value());
    return entry;
}

std::string selectRuns(const char* condition) {
    return fmt::format("SELECT {}{}, {} FROM run {} ORDER BY run_id", kRunOrder, rowNames<RunDescription>().names,
                       rowNames<RunSummary>().names, condition);
}

}  // namespace

std::size_t RecordBatch::size() const {
    return spans.size() + selections.size() + predictions.size() + residency.size() + transfers.size() + tokens.size();
}

struct SessionReader::Impl {
    explicit Impl(const std::filesystem::path& path)
        : file(std::filesystem::absolute(path)), database(openForReading(file)) {}

    /// Runs `work` in one read transaction, so that all its statements see the same commit.
    template <class Work>
    auto inSnapshot(Work work) {
        try {
            Transaction transaction(database, "BEGIN");
            auto result = work();
            transaction.commit();
            return result;
        } catch (const SqliteError& error) { throwReadError(error, file); } catch (const DamagedChunk& error) {
            throwDamaged(file, error.what());
        }
    }

    template <class Record>
    std::vector<Record> rows(const char* table, const char* order, RunId run) {
        return inSnapshot([&] {
            Statement row(database.handle(), fmt::format("SELECT {} FROM {} WHERE run_id=? ORDER BY {}",
                                                         rowNames<Record>().names, table, order));
            row.bind(1, run.value());
            std::vector<Record> records;
            while (row.step()) {
                visitFields(RowReader{row, 0}, records.emplace_back());
            }
            return records;
        });
    }

    std::filesystem::path file;
    Database database;
};

namespace {

/// Decodes the current row of `chunk` (kind, encoding, count, data) into the batch.
void addChunk(const Statement& chunk, RecordBatch& batch) {
    const std::string_view kind = chunk.text(1);
    const auto decodeInto = [&]<class Record>(std::vector<Record>& records) {
        if (kind != chunkKind<Record>()) return false;
        decodeChunk<Record>(chunk.integer(2), chunk.integer(3), chunk.blob(5), records);
        return true;
    };
    // A kind that this program does not know was added by a newer one whose format is still compatible.
    const auto decodeRanges = [&] {
        std::vector<RangeRecord> ranges;
        if (!decodeInto(ranges)) return false;
        for (RangeRecord& range : ranges) {
            range.kind = SpanKind::Range;
            batch.spans.push_back(range);
        }
        return true;
    };
    decodeInto(batch.spans) || decodeRanges() || decodeInto(batch.selections) || decodeInto(batch.predictions) ||
        decodeInto(batch.residency) || decodeInto(batch.transfers);
}

/// Moves a cursor on. In a damaged index rows may come in any order, and a follower would go round in circles.
void advance(std::int64_t& cursor, std::int64_t to) {
    if (to <= cursor) throw DamagedChunk("rows are out of order");
    cursor = to;
}

/// Reads up to `maxChunks` chunks. Returns the last token that may be shown: all (the largest) when no chunks are left,
/// else the last one whose selections are among what was read.
std::int64_t readChunks(Database& database, RunId run, ReadCursor& cursor, int maxChunks, RecordBatch& batch) {
    Statement chunk(database.handle(),
                    "SELECT id, kind, encoding, count, last_token, data FROM chunk "
                    "WHERE run_id=? AND id>? ORDER BY id LIMIT ?");
    chunk.bind(1, run.value());
    chunk.bind(2, cursor.lastChunk);
    chunk.bind(3, std::int64_t{maxChunks});
    int read = 0;
    std::int64_t lastToken = -1;
    while (chunk.step()) {
        addChunk(chunk, batch);
        advance(cursor.lastChunk, chunk.integer(0));
        if (!chunk.isNull(4)) lastToken = std::max(lastToken, chunk.integer(4));
        ++read;
    }
    return read < maxChunks ? INT64_MAX : lastToken;
}

void readTokens(Database& database, RunId run, ReadCursor& cursor, std::int64_t lastToken, RecordBatch& batch) {
    Statement row(database.handle(), fmt::format("SELECT {}, bytes FROM token WHERE run_id=? AND token>? AND token<=? "
                                                 "ORDER BY token",
                                                 rowNames<TokenRecord>().names));
    row.bind(1, run.value());
    row.bind(2, cursor.lastToken);
    row.bind(3, lastToken);
    while (row.step()) {
        TokenRecord& token = batch.tokens.emplace_back();
        RowReader read{row, 0};
        visitFields(read, token);
        token.bytes = row.blob(read.index);
        advance(cursor.lastToken, token.token.value());
    }
}

/// What SessionReader::spansBetween() gives.
std::optional<RecordBatch> readSpansBetween(Database& database, RunId run, Nanoseconds from, Nanoseconds to,
                                            std::int64_t most) {
    constexpr const char* kThere =
        "FROM chunk WHERE run_id=?1 AND kind IN ('span', 'range', 'transfer') AND "
        "start_ns<?3 AND end_ns>=?2";
    const auto bind = [&](Statement& statement) {
        statement.bind(1, run.value());
        statement.bind(2, from.count());
        statement.bind(3, to.count());
    };
    Statement count(database.handle(), fmt::format("SELECT total(count) {}", kThere));
    bind(count);
    if (!count.step() || count.real(0) > static_cast<double>(most)) return std::nullopt;
    Statement chunk(database.handle(),
                    fmt::format("SELECT id, kind, encoding, count, last_token, data {} ORDER BY id", kThere));
    bind(chunk);
    RecordBatch batch;
    while (chunk.step())
        addChunk(chunk, batch);
    std::erase_if(batch.spans, [&](const SpanRecord& span) { return span.end < from || span.start >= to; });
    std::erase_if(batch.transfers, [&](const TransferRecord& transfer) {
        const Nanoseconds last = std::max(transfer.started, transfer.finished);
        return transfer.started.count() == 0 || last < from || transfer.started >= to;
    });
    return batch;
}

}  // namespace

SessionReader::SessionReader(const std::filesystem::path& file) : m_impl(std::make_unique<Impl>(file)) {}
SessionReader::~SessionReader() = default;
SessionReader::SessionReader(SessionReader&&) noexcept = default;
SessionReader& SessionReader::operator=(SessionReader&&) noexcept = default;

const std::filesystem::path& SessionReader::file() const { return m_impl->file; }

std::vector<RunEntry> SessionReader::runs() const {
    return m_impl->inSnapshot([&] {
        std::vector<RunEntry> entries;
        Statement row(m_impl->database.handle(), selectRuns(""));
        while (row.step()) {
            entries.push_back(readEntry(m_impl->database, row));
        }
        return entries;
    });
}

RunEntry SessionReader::run(RunId id) const {
    const std::optional<RunEntry> entry = m_impl->inSnapshot([&]() -> std::optional<RunEntry> {
        Statement row(m_impl->database.handle(), selectRuns("WHERE run_id=?"));
        row.bind(1, id.value());
        if (!row.step()) return std::nullopt;
        std::optional<RunEntry> found = readEntry(m_impl->database, row);
        return found;
    });
    if (entry) return *entry;
    std::string present;
    for (const RunEntry& other : runs()) {
        present += fmt::format("{}{}", present.empty() ? "" : ", ", other.id.value());
    }
    throw UsageError(fmt::format("The session file '{}' has no run {}; it has {}.", m_impl->file.string(), id.value(),
                                 present.empty() ? "none" : "the runs " + present));
}

std::vector<RequestRecord> SessionReader::requests(RunId id) const {
    return m_impl->rows<RequestRecord>("request", "request", id);
}
std::vector<LaneInfo> SessionReader::lanes(RunId id) const { return m_impl->rows<LaneInfo>("lane", "lane", id); }
std::vector<RangeName> SessionReader::rangeNames(RunId id) const {
    return m_impl->inSnapshot([&] {
        std::vector<RangeName> names;
        Statement known(m_impl->database.handle(), "SELECT 1 FROM sqlite_master WHERE name='range_name'");
        if (!known.step()) return names;
        Statement row(
            m_impl->database.handle(),
            fmt::format("SELECT {} FROM range_name WHERE run_id=? ORDER BY name_id", rowNames<RangeName>().names));
        row.bind(1, id.value());
        while (row.step()) {
            visitFields(RowReader{row, 0}, names.emplace_back());
        }
        return names;
    });
}
std::vector<DiagnosticRecord> SessionReader::diagnostics(RunId id) const {
    return m_impl->rows<DiagnosticRecord>("diagnostic", "diagnostic_id", id);
}

RecordBatch SessionReader::readNew(RunId id, ReadCursor& cursor, int maxChunks) const {
    ReadCursor moved = cursor;
    RecordBatch batch = m_impl->inSnapshot([&] {
        RecordBatch read;
        std::int64_t before = -1;
        // Chunks of unknown kinds bring nothing; an empty batch would tell the caller that there is no more.
        while (read.empty() && moved.lastChunk != before) {
            before = moved.lastChunk;
            const std::int64_t lastToken = readChunks(m_impl->database, id, moved, maxChunks, read);
            readTokens(m_impl->database, id, moved, lastToken, read);
        }
        return read;
    });
    cursor = moved;
    return batch;
}

RecordCounts SessionReader::recordCounts(RunId id) const {
    return m_impl->inSnapshot([&] {
        RecordCounts counts;
        Statement row(m_impl->database.handle(), "SELECT kind, sum(count) FROM chunk WHERE run_id=? GROUP BY kind");
        row.bind(1, id.value());
        while (row.step()) {
            const std::string_view kind = row.text(0);
            const std::int64_t count = row.integer(1);
            if (kind == chunkKind<SpanRecord>() || kind == chunkKind<RangeRecord>()) counts.spans += count;
            if (kind == chunkKind<SelectionRecord>()) counts.selections = count;
            if (kind == chunkKind<PredictionRecord>()) counts.predictions = count;
            if (kind == chunkKind<ResidencyRecord>()) counts.residency = count;
            if (kind == chunkKind<TransferRecord>()) counts.transfers = count;
        }
        return counts;
    });
}

std::optional<std::pair<Nanoseconds, Nanoseconds>> SessionReader::spanExtent(RunId id) const {
    return m_impl->inSnapshot([&]() -> std::optional<std::pair<Nanoseconds, Nanoseconds>> {
        Statement row(m_impl->database.handle(),
                      "SELECT min(start_ns), max(end_ns) FROM chunk WHERE run_id=? AND kind IN ('span', 'range')");
        row.bind(1, id.value());
        if (!row.step() || row.isNull(0) || row.isNull(1)) return std::nullopt;
        return std::pair(Nanoseconds(row.integer(0)), Nanoseconds(row.integer(1)));
    });
}

std::optional<RecordBatch> SessionReader::spansBetween(RunId id, Nanoseconds from, Nanoseconds to,
                                                       std::int64_t most) const {
    return m_impl->inSnapshot([&] { return readSpansBetween(m_impl->database, id, from, to, most); });
}

SpanWindow SessionReader::spanWindow(RunId id, Nanoseconds from, Nanoseconds to, int pixels) const {
    return m_impl->inSnapshot([&] { return readSpanWindow(m_impl->database, id.value(), from, to, pixels); });
}

TransferWindow SessionReader::transferWindow(RunId id, Nanoseconds from, Nanoseconds to, int pixels) const {
    return m_impl->inSnapshot([&] { return readTransferWindow(m_impl->database, id.value(), from, to, pixels); });
}

SelectionWindow SessionReader::selectionWindow(RunId id, TokenIndex from, TokenIndex to, int pixels) const {
    return m_impl->inSnapshot([&] { return readSelectionWindow(m_impl->database, id.value(), from, to, pixels); });
}

std::int64_t SessionReader::dataVersion() const {
    try {
        return m_impl->database.queryInteger("PRAGMA data_version");
    } catch (const SqliteError& error) { throwReadError(error, m_impl->file); }
}

Bytes SessionReader::sizeOnDisk() const {
    std::uintmax_t size = 0;
    for (const char* suffix : {"", "-wal"}) {
        std::error_code error;
        const std::uintmax_t part = std::filesystem::file_size(m_impl->file.string() + suffix, error);
        if (!error) size += part;
    }
    return Bytes(static_cast<std::int64_t>(size));
}

}  // namespace expertscope
