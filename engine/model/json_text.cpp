// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/model/json_text.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "engine/base/error.h"

namespace expertscope {

nlohmann::json parseJsonObject(std::string_view text, const std::string& file) {
    // The JSON library takes a NUL for the end of the text.
    if (const std::size_t nul = text.find('\0'); nul != std::string_view::npos) {
        throw BadInputError(fmt::format("{} is not JSON (NUL at byte {}); download it again", file, nul));
    }
    try {
        nlohmann::json json = nlohmann::json::parse(text.begin(), text.end());
        if (!json.is_object()) throw BadInputError(fmt::format("{} is not a JSON object; download it again", file));
        return json;
    } catch (const nlohmann::json::parse_error& error) {
        throw BadInputError(fmt::format("{} is not JSON (at byte {}); download it again", file, error.byte),
                            error.what());
    } catch (const nlohmann::json::out_of_range& error) {
        throw BadInputError(fmt::format("{} has a number that is too large; download it again", file), error.what());
    }
}

const nlohmann::json* valueAt(const nlohmann::json& object, const std::string& key) {
    if (!object.is_object()) return nullptr;
    const auto found = object.find(key);
    return found == object.end() || found->is_null() ? nullptr : &*found;
}

std::string textAt(const nlohmann::json& object, const std::string& key) {
    const nlohmann::json* value = valueAt(object, key);
    return value != nullptr && value->is_string() ? value->get<std::string>() : std::string();
}

bool flagAt(const nlohmann::json& object, const std::string& key, bool otherwise) {
    const nlohmann::json* value = valueAt(object, key);
    return value != nullptr && value->is_boolean() ? value->get<bool>() : otherwise;
}

}  // namespace expertscope
