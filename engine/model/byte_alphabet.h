// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace expertscope {

/// The bytes that a byte-level token stands for. Byte-level vocabularies (GPT-2 and all after it) write each byte as
/// one printable character: those printable in Latin-1 as themselves, the 68 others as U+0100 … U+0143 in rising order.
/// Nothing when the token has a character outside that alphabet, as added tokens may.
std::optional<std::string> bytesOfToken(std::string_view token);

}  // namespace expertscope
