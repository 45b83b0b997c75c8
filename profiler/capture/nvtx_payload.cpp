// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/capture/nvtx_payload.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "profiler/capture/nvtx_wire.h"

namespace expertscope {
namespace {

enum class Number { None, Signed, Unsigned, Real };

struct TypeFacts {
    std::size_t size = 0;  ///< 0: not known
    Number number = Number::None;
};

/// NVTX's numbers of types (NVTX_PAYLOAD_ENTRY_TYPE_*), which are part of its binary interface.
TypeFacts factsOf(std::uint64_t type) {
    switch (type) {
        case 1:   // char
        case 11:  // int8
            return {1, Number::Signed};
        case 2:   // unsigned char
        case 12:  // uint8
        case 25:  // char8
        case 32:  // byte
            return {1, Number::Unsigned};
        case 3:   // short
        case 13:  // int16
            return {2, Number::Signed};
        case 4:   // unsigned short
        case 14:  // uint16
        case 26:  // char16
            return {2, Number::Unsigned};
        case 5:   // int
        case 15:  // int32
            return {4, Number::Signed};
        case 6:   // unsigned int
        case 16:  // uint32
        case 24:  // wchar
        case 27:  // char32
        case 68:  // category
        case 69:  // colour
        case 71:  // process
        case 73:  // thread
            return {4, Number::Unsigned};
        case 7:   // long
        case 9:   // long long
        case 17:  // int64
            return {8, Number::Signed};
        case 8:   // unsigned long
        case 10:  // unsigned long long
        case 18:  // uint64
        case 22:  // size
        case 70:  // scope
        case 72:  // process
        case 74:  // thread
            return {8, Number::Unsigned};
        case 19:  // float
        case 43:  // float32
            return {4, Number::Real};
        case 20:  // double
        case 44:  // float64
            return {8, Number::Real};
        case 23:  // address
        case 75:  // texts elsewhere
        case 76:
        case 77:
        case 78:
        case 80:  // registered string
            return {8, Number::None};
        case 42:  // float16
        case 50:  // bfloat16
            return {2, Number::None};
        case 33:  // int128
        case 34:  // uint128
            return {16, Number::None};
        default:
            return {};
    }
}

template <class T>
double read(const char* from) {
    T value;
    std::memcpy(&value, from, sizeof value);
    return static_cast<double>(value);
}

std::int64_t readInteger(const TypeFacts& facts, const char* from) {
    std::uint64_t bits = 0;
    std::memcpy(&bits, from, facts.size);
    if (facts.number == Number::Signed && facts.size < 8) {
        const std::uint64_t sign = std::uint64_t{1} << (8 * facts.size - 1);
        bits = (bits ^ sign) - sign;
    }
    return static_cast<std::int64_t>(bits);
}

double readNumber(const TypeFacts& facts, const char* from) {
    if (facts.number == Number::Real) return facts.size == 4 ? read<float>(from) : read<double>(from);
    return static_cast<double>(readInteger(facts, from));
}

std::size_t alignedTo(std::size_t at, std::size_t alignment) { return (at + alignment - 1) / alignment * alignment; }

}  // namespace

NvtxSchema::NvtxSchema(std::string_view entries) {
    bool isFirst = true, isPacked = false, isPlaced = true;
    std::size_t at = 0;
    while (entries.size() >= sizeof(NvtxSchemaEntry)) {
        NvtxSchemaEntry entry;
        std::memcpy(&entry, entries.data(), sizeof entry);
        entries.remove_prefix(sizeof entry);
        if (entries.size() < entry.nameBytes) return;
        std::string name(entries.substr(0, entry.nameBytes));
        entries.remove_prefix(entry.nameBytes);
        if (isFirst) {
            m_name = std::move(name);
            isPacked = entry.count == 1;
            isFirst = false;
            continue;
        }
        const TypeFacts facts = factsOf(entry.type);
        if (entry.offset != 0) {
            at = entry.offset;
            isPlaced = true;
        }
        const bool inPlace = entry.count > 0;  // else a pointer
        const std::size_t size = inPlace ? facts.size : sizeof(void*);
        if (size == 0) isPlaced = false;
        if (!isPlaced) continue;
        if (!isPacked && entry.offset == 0) at = alignedTo(at, std::min(size, sizeof(void*)));
        const bool isNumber = inPlace && facts.number != Number::None;
        m_fields.push_back({std::move(name), entry.type, at, isNumber ? std::size_t{entry.count} : 0});
        at += size * (inPlace ? entry.count : 1);
    }
}

const NvtxSchema::Field* NvtxSchema::find(std::string_view field) const {
    const auto found =
        std::ranges::find_if(m_fields, [&](const Field& each) { return each.count > 0 && each.name == field; });
    return found == m_fields.end() ? nullptr : &*found;
}

std::optional<std::int64_t> NvtxSchema::integer(std::string_view field, std::string_view payload) const {
    const Field* found = find(field);
    if (!found) return std::nullopt;
    const TypeFacts facts = factsOf(found->type);
    if (found->offset > payload.size() || payload.size() - found->offset < facts.size) return std::nullopt;
    const char* from = payload.data() + found->offset;
    if (facts.number != Number::Real) return readInteger(facts, from);
    const double value = readNumber(facts, from);
    return std::abs(value) < 9e18 ? std::optional(std::llround(value)) : std::nullopt;
}

std::vector<double> NvtxSchema::numbers(std::string_view field, std::string_view payload) const {
    std::vector<double> values;
    const Field* found = find(field);
    if (!found) return values;
    const TypeFacts facts = factsOf(found->type);
    for (std::size_t i = 0, at = found->offset; i < found->count && at <= payload.size(); ++i, at += facts.size) {
        if (payload.size() - at < facts.size) break;
        values.push_back(readNumber(facts, payload.data() + at));
    }
    return values;
}

}  // namespace expertscope
