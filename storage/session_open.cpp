// SPDX-License-Identifier: GPL-3.0-or-later
#include "storage/session_open.h"

#include <fmt/format.h>

#include "engine/base/error.h"
#include "storage/session_errors.h"

namespace expertscope {
namespace {

void checkIsFile(const std::filesystem::path& file) {
    std::error_code error;
    const std::filesystem::file_status status = std::filesystem::status(file, error);
    if (!std::filesystem::exists(status)) {
        throw BadInputError(fmt::format("There is no session file '{}'; check the path.", file.string()));
    }
    if (std::filesystem::is_directory(status)) {
        throw BadInputError(fmt::format("'{}' is a folder, not a session file; choose a file in it.", file.string()));
    }
}

bool hasWal(const std::filesystem::path& file) {
    std::error_code error;
    const std::uintmax_t size = std::filesystem::file_size(file.string() + "-wal", error);
    return !error && size > 0;
}

/// SQLite notices when whole pages are missing at a file's end, but reads a part of a page as if zeros followed.
void checkLength(Database& database, const std::filesystem::path& file) {
    if (hasWal(file)) return;  // the rest may be in there
    const std::int64_t expected =
        database.queryInteger("PRAGMA page_count") * database.queryInteger("PRAGMA page_size");
    std::error_code error;
    const std::uintmax_t size = std::filesystem::file_size(file, error);
    if (error || static_cast<std::int64_t>(size) >= expected) return;
    throw SqliteError(SQLITE_CORRUPT, fmt::format("it has {} of {} bytes", size, expected));
}

/// Opens the file and reads from it once, which is when SQLite needs the WAL and its index.
Database openAndTouch(const std::filesystem::path& file, OpenMode mode) {
    Database database(file, mode);
    database.queryInteger("SELECT count(*) FROM sqlite_schema");
    return database;
}

Database openReadable(const std::filesystem::path& file) {
    try {
        return openAndTouch(file, OpenMode::Existing);
    } catch (const SqliteError& error) {
        const bool noIndex = error.primaryCode() == SQLITE_CANTOPEN || error.primaryCode() == SQLITE_READONLY;
        if (!noIndex || hasWal(file)) throw;
    }
    // Whoever cannot write here cannot make the WAL's index. Without a WAL there is nothing that it would have to show.
    return openAndTouch(file, OpenMode::Immutable);
}

}  // namespace

ProcessIdentity recordedWriter(Database& database) {
    ProcessIdentity writer;
    Statement rows(database.handle(), "SELECT key, value FROM meta");
    while (rows.step()) {
        const std::string key(rows.text(0));
        if (key == "writer_pid") writer.pid = rows.integer(1);
        if (key == "writer_start_ticks") writer.startTicks = rows.integer(1);
        if (key == "writer_boot_id") writer.bootId = rows.text(1);
    }
    return writer;
}

void checkStructure(Database& database) {
    Statement check(database.handle(), "PRAGMA quick_check(1)");
    const std::string finding = check.step() ? std::string(check.text(0)) : "no answer";
    if (finding != "ok") throw SqliteError(SQLITE_CORRUPT, finding);
}

Database openForReading(const std::filesystem::path& file) {
    checkIsFile(file);
    try {
        Database database = openReadable(file);
        database.execute("PRAGMA query_only=1");
        checkFormat(database, file);
        checkLength(database, file);
        const ProcessIdentity writer = recordedWriter(database);
        if (writer.pid != 0 && !isAlive(writer)) checkStructure(database);
        return database;
    } catch (const SqliteError& error) { throwReadError(error, file); }
}

}  // namespace expertscope
