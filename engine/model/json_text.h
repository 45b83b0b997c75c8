// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

namespace expertscope {

/// The JSON object that `text` is. Throws BadInputError naming `file` (and the byte) when it is not one.
nlohmann::json parseJsonObject(std::string_view text, const std::string& file);

/// Null when `object` is no object or has no such key, or null under it.
const nlohmann::json* valueAt(const nlohmann::json& object, const std::string& key);
/// The text under `key`; empty when there is none.
std::string textAt(const nlohmann::json& object, const std::string& key);
/// The truth value under `key`; `otherwise` when there is none.
bool flagAt(const nlohmann::json& object, const std::string& key, bool otherwise);

}  // namespace expertscope
