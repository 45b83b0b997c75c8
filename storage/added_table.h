// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <filesystem>
#include <functional>

#include "storage/sqlite_db.h"

namespace expertscope {

/// Writes rows of a table that a session gets once somebody has something for it: in one transaction makes the table
/// with `create` (CREATE TABLE IF NOT EXISTS …) and calls `write`. Waits for up to 10 s while a run is being recorded.
/// Throws FailedError, or BadInputError where the file is no session.
void writeAddedTable(const std::filesystem::path& session, const char* create,
                     const std::function<void(Database&)>& write);

}  // namespace expertscope
