// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "storage/sqlite_api.h"

namespace expertscope {

/// Makes the virtual tables `selection`, `norm`, `span`, `range`, `transfer`, `residency` and `prediction` known
/// to a connection: rows decoded from the columnar chunks, one chunk in memory at a time, and of a chunk only the
/// columns that the query uses. Conditions on run_id, token and times pass over chunks unread; conditions on other
/// columns of whole numbers and words are checked before SQLite sees a row. Returns a SQLite result code.
int registerRecordTables(sqlite3* database);

}  // namespace expertscope
