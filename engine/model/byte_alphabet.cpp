// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/model/byte_alphabet.h"

#include <array>
#include <cstdint>

#include "engine/model/utf8.h"

namespace expertscope {

namespace {

constexpr int kAlphabetEnd = 0x144;

/// Code point → byte, −1 for code points that the alphabet leaves out.
constexpr std::array<std::int16_t, kAlphabetEnd> makeByteOfCodePoint() {
    std::array<std::int16_t, kAlphabetEnd> table{};
    for (std::int16_t& entry : table)
        entry = -1;
    std::size_t nextForUnprintable = 0x100;
    for (std::size_t byte = 0; byte < 256; ++byte) {
        const bool printable =
            (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || (byte >= 0xAE && byte <= 0xFF);
        table[printable ? byte : nextForUnprintable++] = static_cast<std::int16_t>(byte);
    }
    return table;
}

constexpr std::array<std::int16_t, kAlphabetEnd> kByteOfCodePoint = makeByteOfCodePoint();

}  // namespace

std::optional<std::string> bytesOfToken(std::string_view token) {
    std::string bytes;
    while (!token.empty()) {
        const CodePoint character = firstCodePoint(token);
        if (character.value >= kAlphabetEnd) return std::nullopt;
        const std::int16_t byte = kByteOfCodePoint[static_cast<std::size_t>(character.value)];
        if (byte < 0) return std::nullopt;
        bytes.push_back(static_cast<char>(byte));
        token.remove_prefix(character.length);
    }
    return bytes;
}

}  // namespace expertscope
