// SPDX-License-Identifier: GPL-3.0-or-later
#include "storage/session_errors.h"

#include <cerrno>
#include <system_error>

#include <fmt/format.h>

#include "engine/base/error.h"
#include "storage/schema.h"

namespace expertscope {
namespace {

std::string detailOf(const SqliteError& error) {
    std::string detail = fmt::format("SQLite code {}: {}", error.code(), error.what());
    if (error.systemError() != 0) detail += "; " + std::generic_category().message(error.systemError());
    return detail;
}

[[noreturn]] void throwNoSession(const std::filesystem::path& file, const std::string& detail) {
    throw BadInputError(
        fmt::format("'{}' is not an ExpertScope session; choose a file that `expertscope run` made.", file.string()),
        detail);
}

bool isFull(const SqliteError& error) {
    // SQLite keeps the system's error number only until its next call, so what could not be written counts as full
    // unless the disk is known to have failed.
    const bool growing = error.code() == SQLITE_IOERR_WRITE || error.code() == SQLITE_IOERR_SHMSIZE ||
                         error.code() == SQLITE_IOERR_TRUNCATE;
    return error.primaryCode() == SQLITE_FULL || (growing && error.systemError() != EIO);
}

bool isReadOnly(const SqliteError& error) {
    const int cause = error.systemError();
    return error.primaryCode() == SQLITE_READONLY || cause == EACCES || cause == EROFS || cause == EPERM;
}

}  // namespace

void throwDamaged(const std::filesystem::path& file, const std::string& detail) {
    throw BadInputError(fmt::format("The session file '{}' is damaged and cannot be read; restore it from a copy, or "
                                    "save what is left with `sqlite3 FILE .recover`.",
                                    file.string()),
                        detail);
}

void throwReadError(const SqliteError& error, const std::filesystem::path& file) {
    switch (error.primaryCode()) {
        case SQLITE_NOTADB:
            throwNoSession(file, detailOf(error));
        case SQLITE_CORRUPT:
        case SQLITE_SCHEMA:
        case SQLITE_ERROR:  // a table or column that every session has is missing
        case SQLITE_MISMATCH:
            throwDamaged(file, detailOf(error));
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
            throw BadInputError(
                fmt::format("The session file '{}' is held by another program; try again when that has finished.",
                            file.string()),
                detailOf(error));
        default:
            break;
    }
    if (isReadOnly(error)) {
        throw BadInputError(fmt::format("The session file '{}' cannot be opened here without write permission because "
                                        "its recording was not closed; copy it and its '-wal' file to a folder of your "
                                        "own and open the copy.",
                                        file.string()),
                            detailOf(error));
    }
    throw BadInputError(
        fmt::format("The session file '{}' cannot be read; check its permissions and its disk.", file.string()),
        detailOf(error));
}

void throwWriteError(const SqliteError& error, const std::filesystem::path& file) {
    const std::string name = file.string();
    if (isFull(error)) {
        throw FailedError(
            fmt::format("The session file '{}' cannot grow because its disk is full or a quota or limit of file "
                        "sizes is reached; what was recorded before is kept. Free some space or record elsewhere.",
                        name),
            detailOf(error));
    }
    if (isReadOnly(error)) {
        throw FailedError(fmt::format("The session file '{}' cannot be written because it or its folder is read-only; "
                                      "choose another place for it.",
                                      name),
                          detailOf(error));
    }
    switch (error.primaryCode()) {
        case SQLITE_NOTADB:
            throwNoSession(file, detailOf(error));
        case SQLITE_CORRUPT:
            throwDamaged(file, detailOf(error));
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
            throw FailedError(fmt::format("The session file '{}' is held by another program for too long; close that "
                                          "program or record into another file.",
                                          name),
                              detailOf(error));
        default:
            break;
    }
    throw FailedError(
        fmt::format("The session file '{}' cannot be written; check its folder and its disk, or record elsewhere.",
                    name),
        detailOf(error));
}

void checkFormat(Database& database, const std::filesystem::path& file) {
    const std::int64_t id = database.queryInteger("PRAGMA application_id");
    if (id != kApplicationId) throwNoSession(file, fmt::format("application_id is {:#x}", id));
    const std::int64_t version = database.queryInteger("PRAGMA user_version");
    if (version > kFormatVersion) {
        throw BadInputError(
            fmt::format("The session file '{}' has format version {}, and this program reads versions "
                        "up to {}; update ExpertScope.",
                        file.string(), version, kFormatVersion));
    }
    if (version < 1) throwDamaged(file, fmt::format("format version {}", version));
}

}  // namespace expertscope
