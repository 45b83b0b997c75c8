// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <filesystem>
#include <optional>
#include <vector>

#include "engine/base/ids.h"

namespace expertscope {

/// Writes a session (or one run of it) as one JSON object, row by row: `{"format": "expertscope-session", "version": 1,
/// "tables": {"run": {"columns": […], "rows": [[…], …]}, …}}` with the tables and columns of docs/FORMAT.md; NULL and
/// NaN are null, BLOBs hexadecimal. gzip where `out` ends in ".gz". Throws as exportCsv().
std::vector<std::filesystem::path> exportJson(const std::filesystem::path& session, std::optional<RunId> run,
                                              const std::filesystem::path& out);

}  // namespace expertscope
