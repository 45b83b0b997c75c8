// SPDX-License-Identifier: GPL-3.0-or-later
#include "storage/bit_blocks.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <utility>
#include <vector>

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

/// Values gather in a word that is stored when it is full: a word that is read back right after it was stored, at
/// another byte, holds the processor up.
void packBlock(std::span<const std::int64_t> values, std::int64_t least, unsigned bits, std::string& out) {
    std::array<std::uint64_t, kBlockValues + 1> words{};
    std::uint64_t* word = words.data();
    std::uint64_t gathered = 0;
    unsigned filled = 0;
    for (const std::int64_t value : values) {
        const std::uint64_t rest = distance(value, least);
        gathered |= rest << filled;
        filled += bits;
        if (filled < kWholeBits) continue;
        *word++ = gathered;
        filled -= kWholeBits;
        gathered = filled > 0 ? rest >> (bits - filled) : 0;
    }
    *word = gathered;
    out.append(reinterpret_cast<const char*>(words.data()), packedBytes(values.size(), bits));
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

void writeBlocks(std::span<const std::int64_t> values, std::string& out) {
    const std::size_t head = out.size();
    out.append(kWord, '\0');
    std::vector<std::pair<std::int64_t, std::int64_t>> ranges;
    ranges.reserve(values.size() / kBlockValues + 1);
    for (std::size_t at = 0; at < values.size(); at += kBlockValues) {
        const auto [least, most] = std::ranges::minmax(values.subspan(at, std::min(kBlockValues, values.size() - at)));
        ranges.emplace_back(least, most);
    }
    const std::int64_t base = ranges.empty() ? 0 : std::ranges::min_element(ranges)->first;
    std::memcpy(out.data() + head, &base, kWord);
    for (std::size_t at = 0; at < values.size(); at += kBlockValues) {
        const auto block = values.subspan(at, std::min(kBlockValues, values.size() - at));
        const auto [least, most] = ranges[at / kBlockValues];
        const unsigned bits = widthOf(distance(most, least));
        out.push_back(static_cast<char>(bits));
        writeVarint(distance(least, base), out);
        if (bits > 0) packBlock(block, least, bits, out);
    }
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
