// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>

namespace expertscope {

/// How expert bytes are read from disk.
enum class IoMode : std::uint8_t {
    Direct,    ///< past the page cache, which would hide what a transfer costs
    Buffered,  ///< through the page cache
};

}  // namespace expertscope
