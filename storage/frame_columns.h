// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

// Columns as the format versions 1 and 2 wrote them: the smallest value, and of each record its distance from it in 0,
// 1, 2, 4 or 8 bytes. Only read; what is written now is bit_blocks.h.

#include <cstdint>
#include <span>
#include <string_view>

namespace expertscope {

/// Takes a column of `values.size()` values off the front of `bytes`. Throws DamagedChunk.
void readFrame(std::string_view& bytes, std::span<std::int64_t> values);
/// Passes over such a column. Throws DamagedChunk.
void skipFrame(std::string_view& bytes, std::size_t count);

}  // namespace expertscope
