// SPDX-License-Identifier: GPL-3.0-or-later
#include "storage/bit_blocks.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <type_traits>

namespace expertscope {
namespace {

static_assert(std::endian::native == std::endian::little, "words are copied as they lie in memory");

constexpr std::size_t kWord = sizeof(std::uint64_t);
/// Up to this many bits a value lies, wherever it begins in a byte, within eight bytes.
constexpr unsigned kMostPackedBits = 56;
constexpr unsigned kWholeBits = 64;

std::uint64_t distance(std::int64_t value, std::int64_t from) {
    return static_cast<std::uint64_t>(value) - static_cast<std::uint64_t>(from);
}

std::int64_t plus(std::int64_t base, std::uint64_t distance) {
    return static_cast<std::int64_t>(static_cast<std::uint64_t>(base) + distance);
}

unsigned widthOf(std::uint64_t most) {
    const auto bits = static_cast<unsigned>(std::bit_width(most));
    return bits > kMostPackedBits ? kWholeBits : bits;
}

std::size_t packedBytes(std::size_t count, unsigned bits) { return (count * bits + 7) / 8; }

std::uint64_t loadWord(const char* from) {
    std::uint64_t word = 0;
    std::memcpy(&word, from, kWord);
    return word;
}

void writeVarint(std::uint64_t value, std::string& out) {
    for (; value >= 0x80; value >>= 7)
        out.push_back(static_cast<char>(value | 0x80));
    out.push_back(static_cast<char>(value));
}

unsigned char takeByte(std::string_view& bytes) {
    if (bytes.empty()) throw DamagedChunk("a column is cut off");
    const auto byte = static_cast<unsigned char>(bytes.front());
    bytes.remove_prefix(1);
    return byte;
}

std::uint64_t takeVarint(std::string_view& bytes) {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        const unsigned char byte = takeByte(bytes);
        value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
        if (byte < 0x80) return value;
    }
    throw DamagedChunk("a block's offset has no end");
}

std::int64_t takeBase(std::string_view& bytes) {
    if (bytes.size() < kWord) throw DamagedChunk("a column's head is cut off");
    const auto base = static_cast<std::int64_t>(loadWord(bytes.data()));
    bytes.remove_prefix(kWord);
    return base;
}

unsigned takeWidth(std::string_view& bytes) {
    const unsigned width = takeByte(bytes);
    if (width > kMostPackedBits && width != kWholeBits) throw DamagedChunk("a block has a width that does not exist");
    return width;
}

/// Room for a packed block with a word more, so that words can be read at any bit.
using BlockBytes = std::array<char, kBlockValues * kWord + kWord>;

/// `values` of `bits` bits each become half as many of twice the bits.
template <class Word>
[[gnu::always_inline]] inline void joinPairs(const Word* values, std::size_t count, unsigned bits, Word* joined) {
    for (std::size_t i = 0; i < count / 2; ++i)
        joined[i] = values[2 * i] | values[2 * i + 1] << bits;
}

/// Joins pairs as long as two values fit a word, to and fro between `values` and `other`, which has room for the first
/// pairs; returns what came out, in one of them. All of `values` beyond the block's is 0.
template <class Word>
[[gnu::always_inline]] inline std::span<const Word> joinAll(std::span<Word> values, std::span<Word> other,
                                                            unsigned& bits) {
    std::size_t count = values.size();
    for (; count > 1 && 2 * bits <= sizeof(Word) * 8; bits *= 2) {
        joinPairs(values.data(), count, bits, other.data());
        count /= 2;
        std::swap(values, other);
    }
    return values.first(count);
}

using PackedWords = std::array<std::uint64_t, kBlockValues + 1>;

/// Values gather in a word that is stored when it is full: a word that is read back right after it was stored, at
/// another byte, holds the processor up. Pairs, which the compiler joins several at a time, leave few of them.
[[gnu::always_inline]] inline void packWords(std::span<std::uint64_t> values, unsigned bits, PackedWords& words) {
    std::array<std::uint64_t, kBlockValues / 2> other;
    std::uint64_t* word = words.data();
    std::uint64_t gathered = 0;
    unsigned filled = 0;
    for (const std::uint64_t value : joinAll(values, std::span<std::uint64_t>(other), bits)) {
        gathered |= value << filled;
        filled += bits;
        if (filled < kWholeBits) continue;
        *word++ = gathered;
        filled -= kWholeBits;
        gathered = filled > 0 ? value >> (bits - filled) : 0;
    }
    *word = gathered;
}

[[gnu::always_inline]] inline void packWords(std::span<std::uint32_t> values, unsigned bits, PackedWords& words) {
    std::array<std::uint32_t, kBlockValues / 2> other;
    const auto joined = joinAll(values, std::span<std::uint32_t>(other), bits);
    std::array<std::uint64_t, kBlockValues> wide;
    for (std::size_t i = 0; i < joined.size(); ++i)
        wide[i] = joined[i];
    packWords(std::span(wide).first(joined.size()), bits, words);
}

struct PackedBlock {
    std::int64_t least = 0;
    unsigned bits = 0;
};

/// Forced into its callers, so that each is compiled for its own instruction set.
template <class Value>
[[gnu::always_inline]] inline PackedBlock packHere(std::span<const Value> values, PackedWords& words) {
    using Distance = std::make_unsigned_t<Value>;
    Value least = values[0], most = values[0];
    for (const Value value : values) {
        least = std::min(least, value);
        most = std::max(most, value);
    }
    const unsigned bits = widthOf(static_cast<Distance>(most) - static_cast<Distance>(least));
    if (bits == 0) return {static_cast<std::int64_t>(least), bits};
    std::array<Distance, kBlockValues> distances;
    for (std::size_t i = 0; i < values.size(); ++i)
        distances[i] = static_cast<Distance>(values[i]) - static_cast<Distance>(least);
    std::fill(distances.begin() + static_cast<std::ptrdiff_t>(values.size()), distances.end(), 0);
    packWords(std::span<Distance>(distances), bits, words);
    return {static_cast<std::int64_t>(least), bits};
}

#ifdef __x86_64__
/// The same loops with vectors twice as wide, and with a smallest and a largest of them, which the least x86-64 lacks.
template <class Value>
[[gnu::target("avx2")]] PackedBlock packWide(std::span<const Value> values, PackedWords& words) {
    return packHere(values, words);
}
#endif

/// A block of values; `words` is what its width says of them.
template <class Value>
PackedBlock pack(std::span<const Value> values, PackedWords& words) {
#ifdef __x86_64__
    static const bool wide = __builtin_cpu_supports("avx2") != 0;
    if (wide) return packWide(values, words);
#endif
    return packHere(values, words);
}

void unpackBlock(const char* from, std::int64_t least, unsigned bits, std::span<std::int64_t> values) {
    const std::uint64_t mask = bits == kWholeBits ? ~std::uint64_t{0} : (std::uint64_t{1} << bits) - 1;
    std::size_t at = 0;
    for (std::int64_t& value : values) {
        value = plus(least, loadWord(from + at / 8) >> at % 8 & mask);
        at += bits;
    }
}

}  // namespace

template <class Value>
void BlockColumn::add(std::span<const Value> values) {
    PackedWords words;
    const PackedBlock block = pack(values, words);
    const std::size_t size = packedBytes(values.size(), block.bits);
    m_blocks.push_back({block.least, block.bits, size});
    m_packed.append(reinterpret_cast<const char*>(words.data()), size);
}

template void BlockColumn::add(std::span<const std::int64_t>);
template void BlockColumn::add(std::span<const std::int32_t>);
template void BlockColumn::add(std::span<const std::uint32_t>);

void BlockColumn::write(std::string& out) {
    const auto smallest = std::ranges::min_element(m_blocks, {}, &Block::least);
    const std::int64_t base = smallest == m_blocks.end() ? 0 : smallest->least;
    out.append(reinterpret_cast<const char*>(&base), kWord);
    std::size_t at = 0;
    for (const Block& block : m_blocks) {
        out.push_back(static_cast<char>(block.bits));
        writeVarint(distance(block.least, base), out);
        out.append(m_packed, at, block.size);
        at += block.size;
    }
    m_blocks.clear();
    m_packed.clear();
}

void writeBlocks(std::span<const std::int64_t> values, std::string& out) {
    BlockColumn column;
    for (std::size_t at = 0; at < values.size(); at += kBlockValues)
        column.add(values.subspan(at, std::min(kBlockValues, values.size() - at)));
    column.write(out);
}

void readBlocks(std::string_view& bytes, std::span<std::int64_t> values) {
    const std::int64_t base = takeBase(bytes);
    for (std::size_t at = 0; at < values.size(); at += kBlockValues) {
        const auto block = values.subspan(at, std::min(kBlockValues, values.size() - at));
        const unsigned bits = takeWidth(bytes);
        const std::int64_t least = plus(base, takeVarint(bytes));
        if (bits == 0) {
            std::ranges::fill(block, least);
            continue;
        }
        const std::size_t size = packedBytes(block.size(), bits);
        if (bytes.size() < size) throw DamagedChunk("a block's values are cut off");
        if (bytes.size() >= size + kWord) {
            unpackBlock(bytes.data(), least, bits, block);
        } else {
            BlockBytes end{};
            std::memcpy(end.data(), bytes.data(), size);
            unpackBlock(end.data(), least, bits, block);
        }
        bytes.remove_prefix(size);
    }
}

void skipBlocks(std::string_view& bytes, std::size_t count) {
    takeBase(bytes);
    for (std::size_t at = 0; at < count; at += kBlockValues) {
        const unsigned bits = takeWidth(bytes);
        takeVarint(bytes);
        const std::size_t size = packedBytes(std::min(kBlockValues, count - at), bits);
        if (bytes.size() < size) throw DamagedChunk("a block's values are cut off");
        bytes.remove_prefix(size);
    }
}

}  // namespace expertscope
