// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <filesystem>

#include "profiler/interchange/import_registry.h"
#include "profiler/interchange/imported_run.h"

namespace expertscope {

/// Whether the text begins as a table of routing: a header that names token, layer and expert, or lines of three or
/// four numbers.
bool isRouteCsv(const FileHead& head);

/// Appends a table of routing (CSV with commas, semicolons or tabs; gzip too) to a session as an imported run.
///
/// With a header line the columns are found by name: token, layer, expert; where they are there also weight, slot,
/// request, phase, step, outcome and token_id (docs/FORMATS.md lists the names that count as the same); others are
/// passed over. Without one they are token, layer, expert[, weight]. Every token is a decode step unless phase or step
/// says otherwise. Rows in order of token (or of step) are streamed; in any other order they are held in memory, 32
/// bytes each, and sorted. Throws BadInputError naming file and line.
ImportedRun importCsv(const std::filesystem::path& file, const std::filesystem::path& session,
                      const ImportOptions& options);

}  // namespace expertscope
