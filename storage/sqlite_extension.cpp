// SPDX-License-Identifier: GPL-3.0-or-later
// The loadable SQLite extension: `.load expertscope_sqlite` in the sqlite3 shell, or load_extension() in any program,
// gives a connection to a session the tables `selection`, `norm`, `span`, `range`, `transfer`, `residency` and
// `prediction`.
#include <sqlite3ext.h>

#include "storage/record_tables.h"

SQLITE_EXTENSION_INIT1

/// SQLite finds it by the file's name.
extern "C" __attribute__((visibility("default"))) int sqlite3_expertscopesqlite_init(sqlite3* database, char**,
                                                                                     const sqlite3_api_routines* api) {
    SQLITE_EXTENSION_INIT2(api);
    return expertscope::registerRecordTables(database);
}
