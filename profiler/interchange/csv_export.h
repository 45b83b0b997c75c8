// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "engine/base/ids.h"

namespace expertscope {

/// Writes a session (or one run of it) as CSV by RFC 4180, row by row, with the columns of the SQL tables
/// (docs/FORMAT.md; NULL is an empty field, BLOBs are hexadecimal). Where `out` ends in ".csv" it becomes one file with
/// the selections; else it is a folder, made if missing, with run.csv, request.csv, token.csv, selection.csv, span.csv,
/// transfer.csv, residency.csv, norm.csv, prediction.csv and diagnostic.csv. Returns the files written. Throws
/// BadInputError when the session cannot be read, UsageError when it has no such run, FailedError when a file cannot be
/// written.
std::vector<std::filesystem::path> exportCsv(const std::filesystem::path& session, std::optional<RunId> run,
                                             const std::filesystem::path& out);

/// The SQL tables that an export of a whole session writes.
std::span<const std::string_view> exportedTables();

}  // namespace expertscope
