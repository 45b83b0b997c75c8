// SPDX-License-Identifier: GPL-3.0-or-later
#include "storage/chunk_codec.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <type_traits>

namespace expertscope {
namespace {

static_assert(std::endian::native == std::endian::little, "columns are copied as they lie in memory");

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
std::int64_t plus(std::int64_t a, std::uint64_t b) {
    return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) + b);
}
std::uint64_t minus(std::int64_t a, std::int64_t b) {
    return static_cast<std::uint64_t>(a) - static_cast<std::uint64_t>(b);
}

template <class Record>
class Encoder {
public:
    Encoder(std::span<const Record> records, std::string& out) : m_records(records), m_out(out) {
        m_values.resize(records.size());
    }

    template <class Field>
    void column(Field field) {
        for (std::size_t i = 0; i < m_records.size(); ++i) {
            m_values[i] = toBits(field(m_records[i]));
        }
        write();
    }

    template <class Field, class Base>
    void relative(Field field, Base base) {
        for (std::size_t i = 0; i < m_records.size(); ++i) {
            m_values[i] = plus(0, minus(toBits(field(m_records[i])), toBits(base(m_records[i]))));
        }
        write();
    }

private:
    void write() {
        const auto [least, most] = std::minmax_element(m_values.begin(), m_values.end());
        const std::int64_t base = m_values.empty() ? 0 : *least;
        const std::uint64_t range = m_values.empty() ? 0 : minus(*most, base);
        const int width = range == 0 ? 0 : range <= 0xff ? 1 : range <= 0xffff ? 2 : range <= 0xffffffff ? 4 : 8;
        m_out.push_back(static_cast<char>(width));
        m_out.append(reinterpret_cast<const char*>(&base), sizeof base);
        switch (width) {
            case 1:
                distances<std::uint8_t>(base);
                break;
            case 2:
                distances<std::uint16_t>(base);
                break;
            case 4:
                distances<std::uint32_t>(base);
                break;
            case 8:
                distances<std::uint64_t>(base);
                break;
            default:
                break;
        }
    }

    template <class Unsigned>
    void distances(std::int64_t base) {
        const std::size_t at = m_out.size();
        m_out.resize(at + m_values.size() * sizeof(Unsigned));
        char* to = m_out.data() + at;
        for (const std::int64_t value : m_values) {
            const auto distance = static_cast<Unsigned>(minus(value, base));
            std::memcpy(to, &distance, sizeof distance);
            to += sizeof distance;
        }
    }

    std::span<const Record> m_records;
    std::string& m_out;
    std::vector<std::int64_t> m_values;
};

template <class Record>
class Decoder {
public:
    Decoder(std::string_view bytes, std::span<Record> records) : m_bytes(bytes), m_records(records) {}

    template <class Field>
    void column(Field field) {
        read([&](Record& record, std::int64_t value) { fromBits(value, field(record)); });
    }

    template <class Field, class Base>
    void relative(Field field, Base base) {
        read([&](Record& record, std::int64_t value) {
            fromBits(plus(toBits(base(record)), static_cast<std::uint64_t>(value)), field(record));
        });
    }

    void end() const {
        if (!m_bytes.empty()) throw DamagedChunk("bytes are left over after the last column");
    }

private:
    template <class Set>
    void read(Set set) {
        std::int64_t base = 0;
        if (m_bytes.size() < 1 + sizeof base) throw DamagedChunk("a column's head is cut off");
        const auto width = static_cast<unsigned char>(m_bytes[0]);
        std::memcpy(&base, m_bytes.data() + 1, sizeof base);
        m_bytes.remove_prefix(1 + sizeof base);
        if (m_bytes.size() < width * m_records.size()) throw DamagedChunk("a column's values are cut off");
        switch (width) {
            case 0:
                for (Record& record : m_records) {
                    set(record, base);
                }
                break;
            case 1:
                distances<std::uint8_t>(base, set);
                break;
            case 2:
                distances<std::uint16_t>(base, set);
                break;
            case 4:
                distances<std::uint32_t>(base, set);
                break;
            case 8:
                distances<std::uint64_t>(base, set);
                break;
            default:
                throw DamagedChunk("a column has a width that does not exist");
        }
        m_bytes.remove_prefix(width * m_records.size());
    }

    template <class Unsigned, class Set>
    void distances(std::int64_t base, Set& set) {
        const char* from = m_bytes.data();
        for (Record& record : m_records) {
            Unsigned distance = 0;
            std::memcpy(&distance, from, sizeof distance);
            from += sizeof distance;
            set(record, plus(base, distance));
        }
    }

    std::string_view m_bytes;
    std::span<Record> m_records;
};

template <class Value>
void widen(std::optional<Value>& least, std::optional<Value>& most, Value from, Value to) {
    least = least ? std::min(*least, from) : from;
    most = most ? std::max(*most, to) : to;
}

void widen(ChunkRange& range, const SpanRecord& r) { widen(range.start, range.end, r.start, r.end); }
void widen(ChunkRange& range, const ResidencyRecord& r) { widen(range.start, range.end, r.time, r.time); }
void widen(ChunkRange& range, const TransferRecord& r) {
    widen(range.start, range.end, r.issued, std::max({r.issued, r.started, r.finished}));
}
void widen(ChunkRange& range, const SelectionRecord& r) { widen(range.firstToken, range.lastToken, r.token, r.token); }
void widen(ChunkRange& range, const PredictionRecord& r) { widen(range.firstToken, range.lastToken, r.token, r.token); }

}  // namespace

template <>
std::string_view chunkKind<SpanRecord>() {
    return "span";
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
std::int64_t chunkEncoding() {
    return std::is_same_v<Record, SelectionRecord> ? kEncodingActions : kEncodingFrame;
}

template <class Record>
ChunkRange chunkRange(std::span<const Record> records) {
    ChunkRange range;
    for (const Record& record : records) {
        widen(range, record);
    }
    return range;
}

template <class Record>
std::string encodeChunk(std::span<const Record> records) {
    std::string bytes;
    eachColumn(static_cast<const Record*>(nullptr), chunkEncoding<Record>(), Encoder<Record>(records, bytes));
    return bytes;
}

template <class Record>
void decodeChunk(std::int64_t encoding, std::int64_t count, std::string_view bytes, std::vector<Record>& out) {
    if (encoding < kEncodingFrame || encoding > chunkEncoding<Record>())
        throw DamagedChunk("unknown encoding " + std::to_string(encoding));
    if (count < 0 || count > kMostChunkRecords) throw DamagedChunk("it claims " + std::to_string(count) + " records");
    const std::size_t before = out.size();
    out.resize(before + static_cast<std::size_t>(count));
    try {
        Decoder<Record> decoder(bytes, std::span(out).subspan(before));
        eachColumn(static_cast<const Record*>(nullptr), encoding, decoder);
        decoder.end();
    } catch (...) {
        out.resize(before);
        throw;
    }
}

#define EXPERTSCOPE_INSTANTIATE(Record)                                \
    template std::int64_t chunkEncoding<Record>();                     \
    template ChunkRange chunkRange<Record>(std::span<const Record>);   \
    template std::string encodeChunk<Record>(std::span<const Record>); \
    template void decodeChunk<Record>(std::int64_t, std::int64_t, std::string_view, std::vector<Record>&);
EXPERTSCOPE_INSTANTIATE(SpanRecord)
EXPERTSCOPE_INSTANTIATE(SelectionRecord)
EXPERTSCOPE_INSTANTIATE(PredictionRecord)
EXPERTSCOPE_INSTANTIATE(ResidencyRecord)
EXPERTSCOPE_INSTANTIATE(TransferRecord)
#undef EXPERTSCOPE_INSTANTIATE

}  // namespace expertscope
