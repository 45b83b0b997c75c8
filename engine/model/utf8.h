// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace expertscope {

/// Byte offset of the first byte that is not part of well-formed UTF-8 (no overlong forms, no surrogates), if any.
std::optional<std::size_t> findInvalidUtf8(std::string_view text);

/// One code point and its length in bytes.
struct CodePoint {
    std::int32_t value = 0;
    std::size_t length = 0;
};
/// The code point at the start, or before the end, of well-formed text that is not empty.
CodePoint firstCodePoint(std::string_view text);
CodePoint lastCodePoint(std::string_view text);

/// White_Space of Unicode.
bool isSpace(std::int32_t codePoint);
/// Letter, mark, decimal digit, letter number, connector or joiner: what \w means in Unicode.
bool isWord(std::int32_t codePoint);

/// Canonical composition (NFC) of well-formed text.
std::string toNfc(std::string_view text);

}  // namespace expertscope
