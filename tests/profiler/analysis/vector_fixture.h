// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "profiler/analysis/analysis_catalogue.h"

namespace expertscope {

/// A JSON file of tests/data/analysis.
nlohmann::json analysisData(const std::string& file);
/// The run of tests/data/analysis/trace.json; told with its last selection first; or the second run of the same texts.
enum class VectorRun { Forwards, Backwards, Other };
RunRouting vectorRouting(VectorRun which = VectorRun::Forwards);
/// Expects the rows of `expected` ({"columns", "rows", "tolerance"}) in `table`, in the columns that it names.
void expectTable(const AnalysisTable& table, const nlohmann::json& expected, const std::string& name);

}  // namespace expertscope
