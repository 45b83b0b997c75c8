// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>
#include <vector>

#include "app/cli/output.h"
#include "profiler/analysis/analysis_catalogue.h"

namespace expertscope {

/// A table under the words by which it was asked for ("balance:phase=decode").
struct NamedTable {
    std::string name;
    AnalysisTable table;
};

/// {"analyses": {NAME: {"counted": "…", "columns": […], "rows": [[…]]}}}; what is no number is null.
Json tablesJson(const std::vector<NamedTable>& tables);
void printTablesJson(const std::vector<NamedTable>& tables);
/// What was counted, and aligned columns; reals with 5 digits.
void printTablesText(const std::vector<NamedTable>& tables);
/// RFC 4180 with full digits on standard output, what was counted on standard error.
void printTableCsv(const AnalysisTable& table);

void printAnalysesJson(const std::vector<AnalysisInfo>& catalogue);
void printAnalysesText(const std::vector<AnalysisInfo>& catalogue);

}  // namespace expertscope
