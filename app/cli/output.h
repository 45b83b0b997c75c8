// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace expertscope {

/// JSON objects keep the order in which their keys are written, as the documentation shows them.
using Json = nlohmann::ordered_json;

/// Prints the one JSON object of --json. Bytes that are no UTF-8 (half a character of a token) become U+FFFD.
void printJson(const Json& object);

/// A number, or null where it is not finite: JSON has no NaN.
Json finiteOrNull(double value);

/// Bytes of text for a terminal: control characters and what is no UTF-8 escaped.
std::string printable(std::string_view bytes);

/// Rows of text as columns, the first row as heading; a column whose cells are all numbers is right-aligned.
std::string formatTable(const std::vector<std::vector<std::string>>& rows);

}  // namespace expertscope
