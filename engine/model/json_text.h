// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

namespace expertscope {

/// The JSON object that `text` is. Throws BadInputError naming `file` (and the byte) when it is not one.
nlohmann::json parseJsonObject(std::string_view text, const std::string& file);

}  // namespace expertscope
