// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <filesystem>

#include "storage/process_identity.h"
#include "storage/sqlite_db.h"

namespace expertscope {

/// A connection for reading `file`, its format checked; its structure too where no writer closed it. Falls back to an
/// immutable connection where the folder is read-only. Throws BadInputError.
Database openForReading(const std::filesystem::path& file);

/// The writer that has the file open, as `meta` tells; pid 0 where it was closed.
ProcessIdentity recordedWriter(Database& database);
/// Throws SqliteError (SQLITE_CORRUPT) with the first finding of SQLite's quick_check.
void checkStructure(Database& database);

}  // namespace expertscope
