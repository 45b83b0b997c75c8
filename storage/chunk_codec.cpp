// SPDX-License-Identifier: GPL-3.0-or-later
#include "storage/chunk_codec.h"

#include <algorithm>
#include <array>
#include <bit>
#include <type_traits>
#include <utility>

#include "storage/frame_columns.h"

namespace expertscope {
namespace {

template <class T>
std::int64_t toBits(const T& value) {
    if constexpr (std::is_same_v<T, float>) {
        return std::bit_cast<std::uint32_t>(value);
    } else if constexpr (std::is_same_v<T, double>) {
        return std::bit_cast<std::int64_t>(value);
    } else if constexpr (requires { value.count(); }) {
        return value.count();
    } else if constexpr (requires { value.value(); }) {
        return value.value();
    } else {
        return static_cast<std::int64_t>(value);
    }
}

template <class T>
void fromBits(std::int64_t bits, T& value) {
    if constexpr (std::is_same_v<T, float>) {
        value = std::bit_cast<float>(static_cast<std::uint32_t>(bits));
    } else if constexpr (std::is_same_v<T, double>) {
        value = std::bit_cast<double>(bits);
    } else if constexpr (std::is_same_v<T, bool>) {
        value = bits != 0;
    } else if constexpr (requires { value.count(); }) {
        value = T(bits);
    } else if constexpr (requires { typename T::Representation; }) {
        value = T(static_cast<typename T::Representation>(bits));
    } else {
        value = static_cast<T>(bits);
    }
}

// The columns of each kind, in the order of the file, under an encoding that the kind knows. `relative` gives a column
// that is stored less an earlier one.
// NOLINTBEGIN(bugprone-macro-parentheses): a path of members cannot stand in parentheses
#define EXPERTSCOPE_FIELD(path) \
    [](auto& record) -> auto& { return record.path; }
// NOLINTEND(bugprone-macro-parentheses)

template <class Visit>
void eachColumn(const SpanRecord*, std::int64_t, Visit&& visit) {
    visit.column(EXPERTSCOPE_FIELD(start));
    visit.relative(EXPERTSCOPE_FIELD(end), EXPERTSCOPE_FIELD(start));
    visit.column(EXPERTSCOPE_FIELD(amount));
    visit.column(EXPERTSCOPE_FIELD(step));
    visit.column(EXPERTSCOPE_FIELD(layer));
    visit.column(EXPERTSCOPE_FIELD(expert));
    visit.column(EXPERTSCOPE_FIELD(lane));
    visit.column(EXPERTSCOPE_FIELD(kind));
}

template <class Visit>
void eachColumn(const RangeRecord*, std::int64_t, Visit&& visit) {
    visit.column(EXPERTSCOPE_FIELD(start));
    visit.relative(EXPERTSCOPE_FIELD(end), EXPERTSCOPE_FIELD(start));
    visit.column(EXPERTSCOPE_FIELD(amount));
    visit.column(EXPERTSCOPE_FIELD(payload));
    visit.column(EXPERTSCOPE_FIELD(step));
    visit.column(EXPERTSCOPE_FIELD(layer));
    visit.column(EXPERTSCOPE_FIELD(expert));
    visit.column(EXPERTSCOPE_FIELD(lane));
    visit.column(EXPERTSCOPE_FIELD(name));
}

template <class Visit>
void eachColumn(const SelectionRecord*, std::int64_t encoding, Visit&& visit) {
    visit.column(EXPERTSCOPE_FIELD(step));
    visit.column(EXPERTSCOPE_FIELD(token));
    visit.column(EXPERTSCOPE_FIELD(layer));
    visit.column(EXPERTSCOPE_FIELD(slot));
    visit.column(EXPERTSCOPE_FIELD(expert));
    visit.column(EXPERTSCOPE_FIELD(weight));
    visit.column(EXPERTSCOPE_FIELD(norm));
    visit.column(EXPERTSCOPE_FIELD(outcome));
    visit.column(EXPERTSCOPE_FIELD(firstUse));
    if (encoding >= kEncodingActions) visit.column(EXPERTSCOPE_FIELD(action));
}

template <class Visit>
void eachColumn(const PredictionRecord*, std::int64_t, Visit&& visit) {
    visit.column(EXPERTSCOPE_FIELD(step));
    visit.column(EXPERTSCOPE_FIELD(token));
    visit.column(EXPERTSCOPE_FIELD(fromLayer));
    visit.column(EXPERTSCOPE_FIELD(targetLayer));
    visit.column(EXPERTSCOPE_FIELD(expert));
    visit.column(EXPERTSCOPE_FIELD(rank));
    visit.column(EXPERTSCOPE_FIELD(score));
    visit.column(EXPERTSCOPE_FIELD(predictor));
}

template <class Visit>
void eachColumn(const ResidencyRecord*, std::int64_t, Visit&& visit) {
    visit.column(EXPERTSCOPE_FIELD(time));
    visit.column(EXPERTSCOPE_FIELD(step));
    visit.column(EXPERTSCOPE_FIELD(layer));
    visit.column(EXPERTSCOPE_FIELD(subject.layer));
    visit.column(EXPERTSCOPE_FIELD(subject.expert));
    visit.column(EXPERTSCOPE_FIELD(cause.layer));
    visit.column(EXPERTSCOPE_FIELD(cause.expert));
    visit.column(EXPERTSCOPE_FIELD(slot));
    visit.column(EXPERTSCOPE_FIELD(change));
    visit.column(EXPERTSCOPE_FIELD(reason));
    visit.column(EXPERTSCOPE_FIELD(score));
}

template <class Visit>
void eachColumn(const TransferRecord*, std::int64_t, Visit&& visit) {
    visit.column(EXPERTSCOPE_FIELD(id));
    visit.column(EXPERTSCOPE_FIELD(expert.layer));
    visit.column(EXPERTSCOPE_FIELD(expert.expert));
    visit.column(EXPERTSCOPE_FIELD(slot));
    visit.column(EXPERTSCOPE_FIELD(bytes));
    visit.column(EXPERTSCOPE_FIELD(moved));
    visit.column(EXPERTSCOPE_FIELD(issued));
    visit.column(EXPERTSCOPE_FIELD(started));
    visit.column(EXPERTSCOPE_FIELD(finished));
    visit.column(EXPERTSCOPE_FIELD(issuedStep));
    visit.column(EXPERTSCOPE_FIELD(issuedLayer));
    visit.column(EXPERTSCOPE_FIELD(usedStep));
    visit.column(EXPERTSCOPE_FIELD(purpose));
    visit.column(EXPERTSCOPE_FIELD(fate));
}

#undef EXPERTSCOPE_FIELD

// Distances are taken modulo 2^64, so that any two int64 values have one.
std::int64_t plus(std::int64_t a, std::int64_t b) {
    return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) + static_cast<std::uint64_t>(b));
}
std::int64_t minus(std::int64_t a, std::int64_t b) {
    return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) - static_cast<std::uint64_t>(b));
}

/// A field as it goes into a block: in 32 bits where they hold it, as columns of them are packed twice as fast.
template <class T>
auto toLane(const T& value) {
    if constexpr (std::is_same_v<T, float>) {
        return std::bit_cast<std::uint32_t>(value);
    } else if constexpr (sizeof(T) <= sizeof(std::int32_t)) {
        return static_cast<std::int32_t>(toBits(value));
    } else {
        return toBits(value);
    }
}

/// Packs one block of every column.
template <class Record>
class BlockEncoder {
public:
    BlockEncoder(std::span<const Record> block, BlockColumn* columns) : m_block(block), m_next(columns) {}

    template <class Field>
    void column(Field field) {
        add([&](const Record& record) { return toLane(field(record)); });
    }

    template <class Field, class Base>
    void relative(Field field, Base base) {
        add([&](const Record& record) { return minus(toBits(field(record)), toBits(base(record))); });
    }

private:
    template <class Take>
    void add(Take take) {
        using Lane = decltype(take(m_block[0]));
        std::array<Lane, kBlockValues> lanes;
        for (std::size_t i = 0; i < m_block.size(); ++i)
            lanes[i] = take(m_block[i]);
        m_next++->add(std::span<const Lane>(lanes.data(), m_block.size()));
    }

    std::span<const Record> m_block;
    BlockColumn* m_next;
};

void readColumn(std::int64_t encoding, std::string_view& bytes, std::span<std::int64_t> values) {
    encoding == kEncodingBlocks ? readBlocks(bytes, values) : readFrame(bytes, values);
}

void checkEnd(std::string_view bytes) {
    if (!bytes.empty()) throw DamagedChunk("bytes are left over after the last column");
}

template <class Record>
class Decoder {
public:
    Decoder(std::int64_t encoding, std::string_view bytes, std::span<Record> records)
        : m_encoding(encoding), m_bytes(bytes), m_records(records), m_values(records.size()) {}

    template <class Field>
    void column(Field field) {
        readColumn(m_encoding, m_bytes, m_values);
        for (std::size_t i = 0; i < m_records.size(); ++i) {
            fromBits(m_values[i], field(m_records[i]));
        }
    }

    template <class Field, class Base>
    void relative(Field field, Base base) {
        readColumn(m_encoding, m_bytes, m_values);
        for (std::size_t i = 0; i < m_records.size(); ++i) {
            fromBits(plus(toBits(base(m_records[i])), m_values[i]), field(m_records[i]));
        }
    }

    void end() const { checkEnd(m_bytes); }

private:
    std::int64_t m_encoding;
    std::string_view m_bytes;
    std::span<Record> m_records;
    std::vector<std::int64_t> m_values;
};

/// Counts columns.
struct ColumnCounter {
    int columns = 0;
    int relativeColumn = -1;
    template <class Field>
    void column(Field) {
        ++columns;
    }
    template <class Field, class Base>
    void relative(Field, Base) {
        relativeColumn = columns++;
    }
};

void checkChunk(std::int64_t encoding, bool hasActions, std::int64_t count) {
    const bool known =
        encoding == kEncodingFrame || (encoding == kEncodingActions && hasActions) || encoding == kEncodingBlocks;
    if (!known) throw DamagedChunk("unknown encoding " + std::to_string(encoding));
    if (count < 0 || count > kMostChunkRecords) throw DamagedChunk("it claims " + std::to_string(count) + " records");
}

// From when or which token on, and until, a record is.
template <class Value>
struct Extent {
    Value first, last;
};
Extent<Nanoseconds> extent(const SpanRecord& r) { return {std::min(r.start, r.end), std::max(r.start, r.end)}; }
Extent<Nanoseconds> extent(const ResidencyRecord& r) { return {r.time, r.time}; }
Extent<Nanoseconds> extent(const TransferRecord& r) { return {r.issued, std::max({r.issued, r.started, r.finished})}; }
Extent<TokenIndex> extent(const SelectionRecord& r) { return {r.token, r.token}; }
Extent<TokenIndex> extent(const PredictionRecord& r) { return {r.token, r.token}; }

template <class Value>
void widen(std::optional<Value>& least, std::optional<Value>& most, const Extent<Value>& by) {
    least = least ? std::min(*least, by.first) : by.first;
    most = most ? std::max(*most, by.last) : by.last;
}
void widen(ChunkRange& range, const Extent<Nanoseconds>& by) { widen(range.start, range.end, by); }
void widen(ChunkRange& range, const Extent<TokenIndex>& by) { widen(range.firstToken, range.lastToken, by); }

}  // namespace

template <>
std::string_view chunkKind<SpanRecord>() {
    return "span";
}
template <>
std::string_view chunkKind<RangeRecord>() {
    return "range";
}
template <>
std::string_view chunkKind<SelectionRecord>() {
    return "selection";
}
template <>
std::string_view chunkKind<PredictionRecord>() {
    return "prediction";
}
template <>
std::string_view chunkKind<ResidencyRecord>() {
    return "residency";
}
template <>
std::string_view chunkKind<TransferRecord>() {
    return "transfer";
}

template <class Record>
ChunkEncoder<Record>::ChunkEncoder() : m_columns(static_cast<std::size_t>(chunkLayout<Record>().columns)) {
    m_begun.reserve(kBlockValues);
}

template <class Record>
void ChunkEncoder<Record>::add(std::span<const Record> records) {
    m_count += records.size();
    while (!records.empty()) {
        const std::size_t taken = std::min(kBlockValues - m_begun.size(), records.size());
        if (taken == kBlockValues) {
            encode(records.first(taken));
        } else {
            m_begun.insert(m_begun.end(), records.begin(), records.begin() + static_cast<std::ptrdiff_t>(taken));
            if (m_begun.size() == kBlockValues) encodeBegun();
        }
        records = records.subspan(taken);
    }
}

template <class Record>
void ChunkEncoder<Record>::encode(std::span<const Record> block) {
    auto whole = extent(block[0]);
    for (const Record& record : block) {
        const auto by = extent(record);
        whole = {std::min(whole.first, by.first), std::max(whole.last, by.last)};
    }
    widen(m_range, whole);
    BlockEncoder<Record> encoder(block, m_columns.data());
    eachColumn(static_cast<const Record*>(nullptr), kEncodingBlocks, encoder);
}

template <class Record>
void ChunkEncoder<Record>::encodeBegun() {
    if (!m_begun.empty()) encode(m_begun);
    m_begun.clear();
}

template <class Record>
EncodedChunk ChunkEncoder<Record>::take() {
    encodeBegun();
    EncodedChunk chunk{static_cast<std::int64_t>(std::exchange(m_count, 0)), std::exchange(m_range, {}), {}};
    std::size_t most = 0;
    for (const BlockColumn& column : m_columns)
        most += column.mostBytes();
    chunk.bytes.reserve(most);
    for (BlockColumn& column : m_columns)
        column.write(chunk.bytes);
    return chunk;
}

template <class Record>
void decodeChunk(std::int64_t encoding, std::int64_t count, std::string_view bytes, std::vector<Record>& out) {
    checkChunk(encoding, std::is_same_v<Record, SelectionRecord>, count);
    const std::size_t before = out.size();
    out.resize(before + static_cast<std::size_t>(count));
    try {
        Decoder<Record> decoder(encoding, bytes, std::span(out).subspan(before));
        eachColumn(static_cast<const Record*>(nullptr), encoding, decoder);
        decoder.end();
    } catch (...) {
        out.resize(before);
        throw;
    }
}

template <class Record>
ChunkLayout chunkLayout() {
    ColumnCounter all, first;
    eachColumn(static_cast<const Record*>(nullptr), kEncodingBlocks, all);
    eachColumn(static_cast<const Record*>(nullptr), kEncodingFrame, first);
    return {chunkKind<Record>(), all.columns, first.columns, all.relativeColumn};
}

void decodeColumns(const ChunkLayout& layout, std::int64_t encoding, std::int64_t count, std::string_view bytes,
                   std::uint32_t wanted, std::vector<std::vector<std::int64_t>>& out) {
    checkChunk(encoding, layout.firstOfActions < layout.columns, count);
    const auto size = static_cast<std::size_t>(count);
    const auto isWanted = [&](int column) { return (wanted >> column & 1) != 0; };
    for (int column = 0; column < layout.columns; ++column) {
        std::vector<std::int64_t>& values = out[static_cast<std::size_t>(column)];
        const bool isBase = column + 1 == layout.relative && isWanted(column + 1);
        if (encoding == kEncodingFrame && column >= layout.firstOfActions) {
            values.assign(size, 0);
        } else if (isWanted(column) || isBase) {
            values.resize(size);
            readColumn(encoding, bytes, values);
        } else {
            encoding == kEncodingBlocks ? skipBlocks(bytes, size) : skipFrame(bytes, size);
        }
        if (column != layout.relative || !isWanted(column)) continue;
        const std::vector<std::int64_t>& base = out[static_cast<std::size_t>(column) - 1];
        std::transform(values.begin(), values.end(), base.begin(), values.begin(), plus);
    }
    checkEnd(bytes);
}

#define EXPERTSCOPE_INSTANTIATE(Record)         \
    template class ChunkEncoder<Record>;        \
    template ChunkLayout chunkLayout<Record>(); \
    template void decodeChunk<Record>(std::int64_t, std::int64_t, std::string_view, std::vector<Record>&);
EXPERTSCOPE_INSTANTIATE(SpanRecord)
EXPERTSCOPE_INSTANTIATE(RangeRecord)
EXPERTSCOPE_INSTANTIATE(SelectionRecord)
EXPERTSCOPE_INSTANTIATE(PredictionRecord)
EXPERTSCOPE_INSTANTIATE(ResidencyRecord)
EXPERTSCOPE_INSTANTIATE(TransferRecord)
#undef EXPERTSCOPE_INSTANTIATE

}  // namespace expertscope
