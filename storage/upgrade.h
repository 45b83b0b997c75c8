// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "storage/sqlite_db.h"

namespace expertscope {

/// Brings a session of any past format version to kFormatVersion, step by step, in the transaction of its caller.
/// Chunks stay as they are: every version's are read for ever. Throws SqliteError.
void upgradeFormat(Database& database);

}  // namespace expertscope
