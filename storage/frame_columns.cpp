// SPDX-License-Identifier: GPL-3.0-or-later
#include "storage/frame_columns.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "storage/bit_blocks.h"

namespace expertscope {
namespace {

static_assert(std::endian::native == std::endian::little, "distances are copied as they lie in memory");

struct Head {
    std::size_t width;  ///< bytes a value
    std::int64_t base;
};

/// Takes the head off, and says that `count` values follow.
Head takeHead(std::string_view& bytes, std::size_t count) {
    Head head{};
    if (bytes.size() < 1 + sizeof head.base) throw DamagedChunk("a column's head is cut off");
    head.width = static_cast<unsigned char>(bytes[0]);
    std::memcpy(&head.base, bytes.data() + 1, sizeof head.base);
    bytes.remove_prefix(1 + sizeof head.base);
    if (head.width > 8 || (head.width & (head.width - 1)) != 0)
        throw DamagedChunk("a column has a width that does not exist");
    if (bytes.size() / std::max<std::size_t>(head.width, 1) < count && head.width > 0)
        throw DamagedChunk("a column's values are cut off");
    return head;
}

template <class Unsigned>
void distances(const char* from, std::int64_t base, std::span<std::int64_t> values) {
    for (std::int64_t& value : values) {
        Unsigned distance = 0;
        std::memcpy(&distance, from, sizeof distance);
        from += sizeof distance;
        value = static_cast<std::int64_t>(static_cast<std::uint64_t>(base) + distance);
    }
}

}  // namespace

void readFrame(std::string_view& bytes, std::span<std::int64_t> values) {
    const Head head = takeHead(bytes, values.size());
    switch (head.width) {
        case 1:
            distances<std::uint8_t>(bytes.data(), head.base, values);
            break;
        case 2:
            distances<std::uint16_t>(bytes.data(), head.base, values);
            break;
        case 4:
            distances<std::uint32_t>(bytes.data(), head.base, values);
            break;
        case 8:
            distances<std::uint64_t>(bytes.data(), head.base, values);
            break;
        default:
            std::ranges::fill(values, head.base);
            break;
    }
    bytes.remove_prefix(head.width * values.size());
}

void skipFrame(std::string_view& bytes, std::size_t count) {
    const Head head = takeHead(bytes, count);
    bytes.remove_prefix(head.width * count);
}

}  // namespace expertscope
