// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace expertscope {

/// The bytes of a base64 text (RFC 4648, padding optional); nothing where a character is none of its alphabet or the
/// length is impossible.
std::optional<std::string> fromBase64(std::string_view text);

}  // namespace expertscope
