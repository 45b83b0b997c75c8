// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <sqlite3.h>

namespace expertscope {

/// Makes the virtual tables `selection`, `norm`, `span`, `transfer`, `residency` and `prediction` known to a
/// connection: rows decoded from the columnar chunks, chunk by chunk. Conditions on run_id and token pass over chunks
/// unread. Returns a SQLite result code.
int registerRecordTables(sqlite3* database);

}  // namespace expertscope
