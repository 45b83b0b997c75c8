// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <filesystem>
#include <string>

#include <sqlite3.h>

namespace expertscope {

/// What SQLite's own check of a file says: "ok" where it is sound.
inline std::string integrity(const std::filesystem::path& file) {
    sqlite3* database = nullptr;
    std::string answer = "cannot be opened";
    if (sqlite3_open_v2(file.c_str(), &database, SQLITE_OPEN_READWRITE, nullptr) == SQLITE_OK) {
        sqlite3_exec(
            database, "PRAGMA integrity_check",
            [](void* out, int, char** values, char**) {
                *static_cast<std::string*>(out) = values[0];
                return 0;
            },
            &answer, nullptr);
    }
    sqlite3_close(database);
    return answer;
}

}  // namespace expertscope
