// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>
#include <string_view>

namespace expertscope {

/// `bytes` as valid UTF-8: each maximal invalid part becomes U+FFFD (Unicode 15, 3.9 "U+FFFD Substitution of Maximal
/// Subparts"), and so does NUL, at which many SQLite tools would cut the text off.
std::string replaceInvalidUtf8(std::string_view bytes);

}  // namespace expertscope
