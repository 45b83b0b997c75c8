// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

// SQLite's C interface: linked in the program; in the loadable extension that of the program that loads it, which hands
// over a table of its functions.

#ifdef EXPERTSCOPE_SQLITE_EXTENSION
#include <sqlite3ext.h>
SQLITE_EXTENSION_INIT3
#else
#include <sqlite3.h>
#endif
