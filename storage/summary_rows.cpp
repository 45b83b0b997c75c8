// SPDX-License-Identifier: GPL-3.0-or-later
#include "storage/summary_rows.h"

#include <algorithm>
#include <optional>

#include <fmt/format.h>

#include "engine/base/record_names.h"
#include "storage/chunk_codec.h"
#include "storage/row_fields.h"
#include "storage/schema.h"

namespace expertscope {
namespace {

// Columns of the chunks, in the order of docs/FORMAT.md.
enum SpanColumn { kStart, kEnd, kLane = 6, kKind };
enum RangeColumn { kRangeStart, kRangeEnd, kRangeLane = 7 };
enum TransferColumn { kMoved = 5, kStarted = 7, kFinished, kPurpose = 12, kFate };
enum SelectionColumn { kToken = 1, kLayer, kOutcome = 7, kFirstUse };

constexpr std::uint32_t bit(int column) { return std::uint32_t{1} << column; }

/// Positions of whole buckets around [from, to).
struct Extent {
    Extent(std::int64_t wantedFrom, std::int64_t wantedTo, int pixels)
        : bits(bucketBits(wantedTo - wantedFrom, pixels)),
          from(wantedFrom >> bits << bits),
          to((((wantedTo - 1) >> bits) + 1) << bits) {}
    int bits;
    std::int64_t from, to;
};

bool hasTable(Database& database, const char* name) {
    return database.queryInteger(fmt::format("SELECT count(*) FROM sqlite_schema WHERE name='{}'", name).c_str()) > 0;
}

/// Hands every stored row of a run's summary, with its bits, to `take`; false where there is none that is fine enough.
template <class Take>
bool readSummary(Database& database, const char* table, const char* keys, std::int64_t run, int bits, Take take) {
    if (!hasTable(database, table)) return false;
    Statement row(database.handle(),
                  fmt::format("SELECT bits, first, count, data, {} FROM {} WHERE run_id=?", keys, table));
    row.bind(1, run);
    bool found = false;
    while (row.step()) {
        if (row.integer(0) > bits) return false;
        if (row.integer(0) < 0) throw DamagedChunk("a summary has buckets of no width");
        take(row, static_cast<int>(row.integer(0)));
        found = true;
    }
    return found;
}

/// Hands the columns of every chunk of a kind that may hold some of [from, to) to `take`, with the number of records.
template <class Record, class Take>
void readChunks(Database& database, std::int64_t run, const char* first, const char* last, const Extent& extent,
                std::uint32_t wanted, Take take) {
    const ChunkLayout layout = chunkLayout<Record>();
    Statement chunk(database.handle(),
                    fmt::format("SELECT encoding, count, data FROM chunk WHERE run_id=?1 AND kind='{}' AND {}<?3 AND "
                                "{}>=?2",
                                layout.kind, first, last));
    chunk.bind(1, run);
    chunk.bind(2, extent.from);
    chunk.bind(3, extent.to);
    std::vector<std::vector<std::int64_t>> columns(static_cast<std::size_t>(layout.columns));
    while (chunk.step()) {
        decodeColumns(layout, chunk.integer(0), chunk.integer(1), chunk.blob(2), wanted, columns);
        take(columns, static_cast<std::size_t>(chunk.integer(1)));
    }
}

template <class Row>
void bindBuckets(Statement& insert, int index, int bits, const BucketRow<Row>& row) {
    insert.bind(index, std::int64_t{bits});
    insert.bind(index + 1, row.first);
    insert.bind(index + 2, static_cast<std::int64_t>(row.buckets.size()));
    insert.bindBlob(index + 3, encodeBuckets(row));
    insert.run();
}

template <class Row>
void readBuckets(const Statement& stored, BucketRow<Row>& row) {
    row.first = stored.integer(1);
    decodeBuckets(stored.blob(3), stored.integer(2), row);
}

}  // namespace

void writeSummaries(Database& database, std::int64_t run, const SpanWindow& spans, const SelectionWindow& selections) {
    database.execute(kSummarySql);
    Statement span(
        database.handle(),
        "INSERT INTO span_summary(run_id, lane, kind, bits, first, count, data) VALUES(?, ?, ?, ?, ?, ?, ?)");
    for (const SpanSummaryRow& row : spans.rows) {
        span.bind(1, run);
        span.bind(2, std::int64_t{row.lane.value()});
        span.bindText(3, name(row.kind));
        bindBuckets(span, 4, spans.bits, row.row);
    }
    Statement selection(database.handle(),
                        "INSERT INTO selection_summary(run_id, layer, bits, first, count, data) VALUES(?, ?, ?, ?, ?, "
                        "?)");
    for (const SelectionSummaryRow& row : selections.rows) {
        selection.bind(1, run);
        selection.bind(2, std::int64_t{row.layer.value()});
        bindBuckets(selection, 3, selections.bits, row.row);
    }
}

SpanWindow readSpanWindow(Database& database, std::int64_t run, Nanoseconds from, Nanoseconds to, int pixels) {
    const Extent extent(from.count(), to.count(), pixels);
    const auto empty = [&] { return SpanSummary(extent.bits, Nanoseconds(extent.from), Nanoseconds(extent.to)); };
    SpanSummary window = empty();
    if (from >= to) return window.take();
    const bool summarized =
        readSummary(database, "span_summary", "lane, kind", run, extent.bits, [&](const Statement& stored, int bits) {
            SpanSummaryRow row{
                LaneId(static_cast<std::int32_t>(stored.integer(4))), enumerator<SpanKind>(stored.text(5)), {}};
            readBuckets(stored, row.row);
            window.merge(row, bits);
        });
    if (summarized) return window.take();
    window = empty();
    readChunks<SpanRecord>(
        database, run, "start_ns", "end_ns", extent, bit(kStart) | bit(kEnd) | bit(kLane) | bit(kKind),
        [&](const auto& columns, std::size_t count) {
            for (std::size_t i = 0; i < count; ++i)
                window.add(LaneId(static_cast<std::int32_t>(columns[kLane][i])),
                           static_cast<SpanKind>(columns[kKind][i]), columns[kStart][i], columns[kEnd][i]);
        });
    readChunks<RangeRecord>(database, run, "start_ns", "end_ns", extent,
                            bit(kRangeStart) | bit(kRangeEnd) | bit(kRangeLane),
                            [&](const auto& columns, std::size_t count) {
                                for (std::size_t i = 0; i < count; ++i)
                                    window.add(LaneId(static_cast<std::int32_t>(columns[kRangeLane][i])),
                                               SpanKind::Range, columns[kRangeStart][i], columns[kRangeEnd][i]);
                            });
    return window.take();
}

TransferWindow readTransferWindow(Database& database, std::int64_t run, Nanoseconds from, Nanoseconds to, int pixels) {
    const Extent extent(from.count(), to.count(), pixels);
    TransferWindow window{extent.bits, {}};
    if (from >= to) return window;
    const auto rowOf = [&](TransferPurpose purpose, TransferFate fate) -> BucketRow<TransferBucket>& {
        const auto is = [&](const TransferSummaryRow& row) { return row.purpose == purpose && row.fate == fate; };
        const auto found = std::ranges::find_if(window.rows, is);
        return found != window.rows.end() ? found->row : window.rows.emplace_back(purpose, fate).row;
    };
    const auto add = [&](BucketRow<TransferBucket>& row, std::int64_t start, std::int64_t end, std::int64_t moved) {
        const double length = static_cast<double>(end - start);
        for (std::int64_t at = std::max(start, extent.from), last = std::min(end, extent.to); at < last;) {
            const std::int64_t number = at >> extent.bits;
            const std::int64_t part = std::min(last, (number + 1) << extent.bits) - at;
            const double bytes = static_cast<double>(moved) * static_cast<double>(part) / length;
            row.at(number).merge({part, static_cast<std::int64_t>(bytes + 0.5)});
            at += part;
        }
    };
    readChunks<TransferRecord>(database, run, "start_ns", "end_ns", extent,
                               bit(kMoved) | bit(kStarted) | bit(kFinished) | bit(kPurpose) | bit(kFate),
                               [&](const auto& columns, std::size_t count) {
                                   for (std::size_t i = 0; i < count; ++i) {
                                       const auto purpose = static_cast<TransferPurpose>(columns[kPurpose][i]);
                                       const std::int64_t start = columns[kStarted][i], end = columns[kFinished][i];
                                       if (purpose == TransferPurpose::Preload || start == 0) continue;
                                       auto& row = rowOf(purpose, static_cast<TransferFate>(columns[kFate][i]));
                                       // How long one moved that never finished is not known.
                                       if (end > start) add(row, start, end, columns[kMoved][i]);
                                   }
                               });
    return window;
}

SelectionWindow readSelectionWindow(Database& database, std::int64_t run, TokenIndex from, TokenIndex to, int pixels) {
    const Extent extent(from.value(), to.value(), pixels);
    const auto empty = [&] { return SelectionSummary(extent.bits, extent.from, extent.to); };
    SelectionSummary window = empty();
    if (from >= to) return window.take();
    const bool summarized =
        readSummary(database, "selection_summary", "layer", run, extent.bits, [&](const Statement& stored, int bits) {
            SelectionSummaryRow row{LayerIndex(static_cast<std::int32_t>(stored.integer(4))), {}};
            readBuckets(stored, row.row);
            window.merge(row, bits);
        });
    if (summarized) return window.take();
    window = empty();
    readChunks<SelectionRecord>(
        database, run, "first_token", "last_token", extent, bit(kToken) | bit(kLayer) | bit(kOutcome) | bit(kFirstUse),
        [&](const auto& columns, std::size_t count) {
            for (std::size_t i = 0; i < count; ++i)
                window.add(LayerIndex(static_cast<std::int32_t>(columns[kLayer][i])), columns[kToken][i],
                           bucketOf(columns[kFirstUse][i] != 0, static_cast<Outcome>(columns[kOutcome][i])));
        });
    return window.take();
}

}  // namespace expertscope
