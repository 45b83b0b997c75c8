// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

// What a picture of a whole run needs, so that opening a session never reads all of it: spans by lane, kind and time,
// selections by layer and token, in buckets of a power of two. Plain equivalent: a histogram. Buckets are merged in
// pairs when they become too many, so that a run of any length fits (as in Perfetto's slice mipmaps, with one level
// stored: a coarser one is merged from it faster than it could be read, a finer one is read from the chunks).

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/records.h"

namespace expertscope {

/// Spans of one lane and kind in one stretch of time.
struct SpanBucket {
    std::int64_t count = 0;    ///< that begin in it
    std::int64_t busy = 0;     ///< nanoseconds of it that spans take; more than its width where they overlap
    std::int64_t longest = 0;  ///< nanoseconds, of those that begin in it
    void merge(const SpanBucket& other) {
        count += other.count;
        busy += other.busy;
        longest = std::max(longest, other.longest);
    }
    bool operator==(const SpanBucket&) const = default;
};

/// Transfers of one purpose and fate in one stretch of time.
struct TransferBucket {
    std::int64_t busy = 0;   ///< nanoseconds of it that transfers take; more than its width where they overlap
    std::int64_t moved = 0;  ///< bytes; of a transfer that lies partly in it in proportion
    void merge(const TransferBucket& other) {
        busy += other.busy;
        moved += other.moved;
    }
    bool operator==(const TransferBucket&) const = default;
};

/// Selections of one layer by some consecutive tokens.
struct SelectionBucket {
    std::int64_t count = 0;
    std::int64_t accesses = 0;  ///< first uses in a step
    std::int64_t inFlight = 0;  ///< accesses of this outcome
    std::int64_t misses = 0;    ///< likewise
    void merge(const SelectionBucket& other) {
        count += other.count;
        accesses += other.accesses;
        inFlight += other.inFlight;
        misses += other.misses;
    }
    bool operator==(const SelectionBucket&) const = default;
};

/// Consecutive buckets: the i-th is of the positions [(first + i) × 2^bits, (first + i + 1) × 2^bits).
template <class Bucket>
struct BucketRow {
    std::int64_t first = 0;
    std::vector<Bucket> buckets;

    /// The bucket of that number, made with those between where there is none.
    Bucket& at(std::int64_t number) {
        const auto there = static_cast<std::uint64_t>(number) - static_cast<std::uint64_t>(first);
        return there < buckets.size() ? buckets[there] : make(number);
    }
    /// Makes every two one.
    void halve();
    bool operator==(const BucketRow&) const = default;

private:
    Bucket& make(std::int64_t number);
};

struct SpanSummaryRow {
    LaneId lane;
    SpanKind kind = SpanKind::Step;
    BucketRow<SpanBucket> row;  ///< positions are nanoseconds of the session clock
};

struct SelectionSummaryRow {
    LayerIndex layer;
    BucketRow<SelectionBucket> row;  ///< positions are tokens
};

struct TransferSummaryRow {
    TransferPurpose purpose = TransferPurpose::Demand;
    TransferFate fate = TransferFate::Used;
    BucketRow<TransferBucket> row;  ///< positions are nanoseconds of the session clock
};

/// A window of a run in buckets of 2^bits nanoseconds or tokens.
struct SpanWindow {
    int bits = 0;
    std::vector<SpanSummaryRow> rows;  ///< by lane, then kind
};
struct TransferWindow {
    int bits = 0;
    std::vector<TransferSummaryRow> rows;  ///< in no order
};
struct SelectionWindow {
    int bits = 0;
    std::vector<SelectionSummaryRow> rows;  ///< by layer
};

/// The least power of two whose buckets cover `extent` positions with no more than `most` of them, one at a side cut
/// off.
int bucketBits(std::int64_t extent, std::int64_t most);

/// Gathers spans as they come.
class SpanSummary {
public:
    /// Of buckets that widen as the run grows: at most 65536 of time, one for 256 spans beyond 4096.
    SpanSummary() = default;
    /// Of buckets of 2^bits ns, of what lies in [from, to).
    SpanSummary(int bits, Nanoseconds from, Nanoseconds to) : m_bits(bits), m_from(from.count()), m_to(to.count()) {}

    void add(LaneId lane, SpanKind kind, std::int64_t start, std::int64_t end);
    /// Takes over buckets of 2^bits ns, no wider than its own.
    void merge(const SpanSummaryRow& row, int bits);
    /// Rows by lane, then kind.
    SpanWindow take();

private:
    BucketRow<SpanBucket>& rowOf(LaneId lane, SpanKind kind) {
        constexpr std::uint32_t kKinds = 16;  // about as many as there are
        const std::size_t hash = static_cast<std::uint32_t>(lane.value()) * kKinds + static_cast<std::uint32_t>(kind);
        std::size_t& place = m_places[hash % m_places.size()];
        if (place >= m_rows.size() || m_rows[place].lane != lane || m_rows[place].kind != kind)
            place = findRow(lane, kind);
        return m_rows[place].row;
    }
    std::size_t findRow(LaneId lane, SpanKind kind);
    void widenFor(std::int64_t start, std::int64_t end);

    int m_bits = 0;
    std::int64_t m_from = INT64_MIN, m_to = INT64_MAX;
    std::int64_t m_spans = 0, m_least = INT64_MAX, m_most = INT64_MIN;
    std::vector<SpanSummaryRow> m_rows;
    std::array<std::size_t, 64> m_places{};  ///< where in m_rows a lane and kind were last found, by their hash
};

/// Gathers selections as they come.
class SelectionSummary {
public:
    /// Of buckets that widen as the run grows: at most 65536 a layer, and a million in all where that leaves 4096 a
    /// layer.
    SelectionSummary() = default;
    /// Of buckets of 2^bits tokens, of those in [from, to).
    SelectionSummary(int bits, std::int64_t from, std::int64_t to) : m_bits(bits), m_from(from), m_to(to) {}

    void add(LayerIndex layer, std::int64_t token, const SelectionBucket& what);
    void merge(const SelectionSummaryRow& row, int bits);
    SelectionWindow take();

private:
    BucketRow<SelectionBucket>& rowOf(LayerIndex layer);
    void widenFor(std::int64_t token);

    int m_bits = 0;
    std::int64_t m_from = 0, m_to = INT64_MAX;
    std::vector<SelectionSummaryRow> m_rows;
    std::size_t m_latest = 0;  ///< row that the last selection went to
};

/// What a selection adds to its bucket.
SelectionBucket bucketOf(bool firstUse, Outcome outcome);

/// A row of the file: the columns one after another (bit_blocks.h).
std::string encodeBuckets(const BucketRow<SpanBucket>& row);
std::string encodeBuckets(const BucketRow<SelectionBucket>& row);
/// Reads `count` buckets into the row. Throws DamagedChunk.
void decodeBuckets(std::string_view bytes, std::int64_t count, BucketRow<SpanBucket>& row);
void decodeBuckets(std::string_view bytes, std::int64_t count, BucketRow<SelectionBucket>& row);

}  // namespace expertscope
