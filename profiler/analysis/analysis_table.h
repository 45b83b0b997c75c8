// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

namespace expertscope {

/// One value of a table: nothing (does not apply), a number, or a word. A real that is not finite means "no data" and
/// is shown as such.
using AnalysisCell = std::variant<std::monostate, std::int64_t, double, std::string>;

/// What an analysis gives to the command line, to files and to a view's table: rows under named columns, and one
/// sentence or two that say what was counted, of what, and what was left out.
struct AnalysisTable {
    std::string counted;
    std::vector<std::string> columns;             ///< snake_case; stable, since scripts ask for them
    std::vector<std::vector<AnalysisCell>> rows;  ///< each as long as `columns`
};

}  // namespace expertscope
