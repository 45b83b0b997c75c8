// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <string>

namespace expertscope {

/// "1,234,567".
std::string groupedNumber(std::int64_t value);

}  // namespace expertscope
