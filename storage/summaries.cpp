// SPDX-License-Identifier: GPL-3.0-or-later
#include "storage/summaries.h"

#include <tuple>

#include "storage/bit_blocks.h"

namespace expertscope {
namespace {

constexpr std::int64_t kLeastTimeBuckets = 4096, kMostTimeBuckets = 65536, kSpansABucket = 256;
constexpr std::int64_t kLeastTokenBuckets = 4096, kMostTokenBuckets = 65536, kMostOfAllLayers = 1 << 20;
constexpr int kMostBits = 62;
constexpr std::int64_t kFarthest = std::int64_t{1} << 61;
/// Rows of a file that claim more are damaged.
constexpr std::int64_t kMostStored = 1 << 20;

constexpr auto kSpanColumns = std::tuple(&SpanBucket::count, &SpanBucket::busy, &SpanBucket::longest);
constexpr auto kSelectionColumns = std::tuple(&SelectionBucket::count, &SelectionBucket::accesses,
                                              &SelectionBucket::inFlight, &SelectionBucket::misses);

template <class Bucket, class Columns>
std::string encode(const BucketRow<Bucket>& row, const Columns& columns) {
    std::string bytes;
    std::vector<std::int64_t> values(row.buckets.size());
    const auto write = [&](auto member) {
        std::ranges::transform(row.buckets, values.begin(), member);
        writeBlocks(values, bytes);
    };
    std::apply([&](auto... member) { (write(member), ...); }, columns);
    return bytes;
}

template <class Bucket, class Columns>
void decode(std::string_view bytes, std::int64_t count, BucketRow<Bucket>& row, const Columns& columns) {
    if (count < 0 || count > kMostStored) throw DamagedChunk("a summary claims too many buckets");
    std::vector<std::int64_t> values(static_cast<std::size_t>(count));
    row.buckets.resize(values.size());
    const auto read = [&](auto member) {
        readBlocks(bytes, values);
        for (std::size_t i = 0; i < values.size(); ++i)
            row.buckets[i].*member = values[i];
    };
    std::apply([&](auto... member) { (read(member), ...); }, columns);
    if (!bytes.empty()) throw DamagedChunk("bytes are left over after a summary");
}

/// Merges those buckets of `from` that hold something and lie in [least, most] into a row of wider ones.
template <class Bucket>
void mergeInto(BucketRow<Bucket>& to, const BucketRow<Bucket>& from, int shift, std::int64_t least, std::int64_t most) {
    for (std::size_t i = 0; i < from.buckets.size(); ++i) {
        const std::int64_t number = (from.first + static_cast<std::int64_t>(i)) >> shift;
        if (from.buckets[i] != Bucket{} && number >= least && number <= most) to.at(number).merge(from.buckets[i]);
    }
}

}  // namespace

template <class Bucket>
Bucket& BucketRow<Bucket>::make(std::int64_t number) {
    if (buckets.empty()) first = number;
    if (number < first) {
        buckets.insert(buckets.begin(), static_cast<std::size_t>(first - number), Bucket{});
        first = number;
    }
    const auto index = static_cast<std::size_t>(number - first);
    if (index >= buckets.size()) buckets.resize(index + 1);
    return buckets[index];
}

template <class Bucket>
void BucketRow<Bucket>::halve() {
    if (buckets.empty()) return;
    BucketRow merged;
    merged.first = first >> 1;
    const std::int64_t last = (first + static_cast<std::int64_t>(buckets.size()) - 1) >> 1;
    merged.buckets.resize(static_cast<std::size_t>(last - merged.first + 1));
    for (std::size_t i = 0; i < buckets.size(); ++i)
        merged.buckets[static_cast<std::size_t>(((first + static_cast<std::int64_t>(i)) >> 1) - merged.first)].merge(
            buckets[i]);
    *this = std::move(merged);
}

template struct BucketRow<SpanBucket>;
template struct BucketRow<SelectionBucket>;
template struct BucketRow<TransferBucket>;

int bucketBits(std::int64_t extent, std::int64_t most) {
    int bits = 0;
    while (bits < kMostBits && (extent >> bits) >= std::max<std::int64_t>(most, 1))
        ++bits;
    return bits;
}

std::size_t SpanSummary::findRow(LaneId lane, SpanKind kind) {
    const auto is = [&](const SpanSummaryRow& row) { return row.lane == lane && row.kind == kind; };
    const auto place = static_cast<std::size_t>(std::ranges::find_if(m_rows, is) - m_rows.begin());
    if (place == m_rows.size()) m_rows.push_back({lane, kind, {}});
    return place;
}

/// Keeps the number of buckets within its limit when a span of that time is added.
void SpanSummary::widenFor(std::int64_t start, std::int64_t end) {
    m_least = std::min(m_least, start);
    m_most = std::max(m_most, end);
    const std::int64_t limit = std::clamp(m_spans / kSpansABucket, kLeastTimeBuckets, kMostTimeBuckets);
    while (m_bits < kMostBits && (m_most >> m_bits) - (m_least >> m_bits) >= limit) {
        ++m_bits;
        for (SpanSummaryRow& row : m_rows)
            row.row.halve();
    }
}

void SpanSummary::add(LaneId lane, SpanKind kind, std::int64_t start, std::int64_t end) {
    // No clock tells times beyond; their differences would not fit.
    start = std::clamp(start, -kFarthest, kFarthest);
    end = std::clamp(end, start, kFarthest);
    ++m_spans;
    const bool isWhole = m_to == INT64_MAX;
    if (isWhole) widenFor(start, end);
    if (end < m_from || start >= m_to) return;
    BucketRow<SpanBucket>& row = rowOf(lane, kind);
    if (isWhole && start >> m_bits == end >> m_bits) {  // as most are
        row.at(start >> m_bits).merge({.count = 1, .busy = end - start, .longest = end - start});
        return;
    }
    if (start >= m_from) {
        SpanBucket& bucket = row.at(start >> m_bits);
        ++bucket.count;
        bucket.longest = std::max(bucket.longest, end - start);
    }
    for (std::int64_t from = std::max(start, m_from), to = std::min(end, m_to); from < to;) {
        const std::int64_t number = from >> m_bits;
        const std::int64_t rest = (std::int64_t{1} << m_bits) - (from - (number << m_bits));
        const std::int64_t part = std::min(to - from, rest);
        row.at(number).busy += part;
        from += part;
    }
}

void SpanSummary::merge(const SpanSummaryRow& row, int bits) {
    mergeInto(rowOf(row.lane, row.kind), row.row, m_bits - bits, m_from >> m_bits, (m_to - 1) >> m_bits);
}

SpanWindow SpanSummary::take() {
    std::erase_if(m_rows, [](const SpanSummaryRow& row) { return row.row.buckets.empty(); });
    std::ranges::sort(m_rows, {}, [](const SpanSummaryRow& row) { return std::pair(row.lane, row.kind); });
    return {m_bits, std::move(m_rows)};
}

BucketRow<SelectionBucket>& SelectionSummary::rowOf(LayerIndex layer) {
    if (m_latest >= m_rows.size() || m_rows[m_latest].layer != layer) {
        m_latest =
            static_cast<std::size_t>(std::ranges::find(m_rows, layer, &SelectionSummaryRow::layer) - m_rows.begin());
        if (m_latest == m_rows.size()) m_rows.push_back({layer, {}});
    }
    return m_rows[m_latest].row;
}

void SelectionSummary::widenFor(std::int64_t token) {
    const std::int64_t limit =
        std::clamp(kMostOfAllLayers / static_cast<std::int64_t>(m_rows.size()), kLeastTokenBuckets, kMostTokenBuckets);
    while (token >> m_bits >= limit) {
        ++m_bits;
        for (SelectionSummaryRow& each : m_rows)
            each.row.halve();
    }
}

void SelectionSummary::add(LayerIndex layer, std::int64_t token, const SelectionBucket& what) {
    if (token < m_from || token >= m_to) return;
    BucketRow<SelectionBucket>& row = rowOf(layer);
    if (m_to == INT64_MAX && token >> m_bits >= kLeastTokenBuckets) widenFor(token);
    row.at(token >> m_bits).merge(what);
}

void SelectionSummary::merge(const SelectionSummaryRow& row, int bits) {
    mergeInto(rowOf(row.layer), row.row, m_bits - bits, m_from >> m_bits, (m_to - 1) >> m_bits);
}

SelectionWindow SelectionSummary::take() {
    std::erase_if(m_rows, [](const SelectionSummaryRow& row) { return row.row.buckets.empty(); });
    std::ranges::sort(m_rows, {}, &SelectionSummaryRow::layer);
    return {m_bits, std::move(m_rows)};
}

SelectionBucket bucketOf(bool firstUse, Outcome outcome) {
    return {.count = 1,
            .accesses = firstUse ? 1 : 0,
            .inFlight = firstUse && outcome == Outcome::InFlight ? 1 : 0,
            .misses = firstUse && outcome == Outcome::Miss ? 1 : 0};
}

std::string encodeBuckets(const BucketRow<SpanBucket>& row) { return encode(row, kSpanColumns); }
std::string encodeBuckets(const BucketRow<SelectionBucket>& row) { return encode(row, kSelectionColumns); }
void decodeBuckets(std::string_view bytes, std::int64_t count, BucketRow<SpanBucket>& row) {
    decode(bytes, count, row, kSpanColumns);
}
void decodeBuckets(std::string_view bytes, std::int64_t count, BucketRow<SelectionBucket>& row) {
    decode(bytes, count, row, kSelectionColumns);
}

}  // namespace expertscope
