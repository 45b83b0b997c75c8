// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <filesystem>

#include "storage/sqlite_db.h"

namespace expertscope {

/// Throws the sentence for what went wrong while `file` was read: always BadInputError.
[[noreturn]] void throwReadError(const SqliteError& error, const std::filesystem::path& file);
/// Throws the sentence for what went wrong while `file` was written: FailedError, or BadInputError where the file
/// itself is no session or damaged.
[[noreturn]] void throwWriteError(const SqliteError& error, const std::filesystem::path& file);
/// Throws BadInputError: `file` is damaged, and `detail` says in what way.
[[noreturn]] void throwDamaged(const std::filesystem::path& file, const std::string& detail);

/// Throws BadInputError unless `file` has the application id of a session and a format version that this program knows.
void checkFormat(Database& database, const std::filesystem::path& file);

}  // namespace expertscope
