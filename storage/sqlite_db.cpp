// SPDX-License-Identifier: GPL-3.0-or-later
#include "storage/sqlite_db.h"

#include <cstdio>
#include <limits>

namespace expertscope {
namespace {

// A reader waits this long for the moments in which WAL recovery or a closing connection holds the file alone; a writer
// for the short transactions of other writers.
constexpr int kBusyTimeoutMs = 10'000;

std::string immutableUri(const std::filesystem::path& file) {
    std::string uri = "file:";
    for (const char c : file.string()) {
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '/' ||
                           c == '.' || c == '-' || c == '_' || c == '~';
        if (plain) {
            uri += c;
        } else {
            char escaped[4];
            std::snprintf(escaped, sizeof escaped, "%%%02X", static_cast<unsigned char>(c));
            uri += escaped;
        }
    }
    return uri + "?immutable=1";
}

sqlite3_destructor_type lifetime(Statement::Bound bound) {
    return bound == Statement::Bound::InPlace ? SQLITE_STATIC : SQLITE_TRANSIENT;
}

}  // namespace

SqliteError::SqliteError(sqlite3* database)
    : std::runtime_error(sqlite3_errmsg(database)),
      m_code(sqlite3_extended_errcode(database)),
      m_systemError(sqlite3_system_errno(database)) {}

Statement::Statement(sqlite3* database, std::string_view sql) : m_database(database) {
    sqlite3_stmt* statement = nullptr;
    const int code = sqlite3_prepare_v2(database, sql.data(), static_cast<int>(sql.size()), &statement, nullptr);
    m_handle.reset(statement);
    check(code);
}

void Statement::check(int code) {
    if (code != SQLITE_OK) throw SqliteError(m_database);
}

void Statement::bind(int index, std::int64_t value) { check(sqlite3_bind_int64(m_handle.get(), index, value)); }
void Statement::bind(int index, double value) { check(sqlite3_bind_double(m_handle.get(), index, value)); }
void Statement::bindNull(int index) { check(sqlite3_bind_null(m_handle.get(), index)); }

void Statement::bindText(int index, std::string_view value, Bound bound) {
    const char* data = value.data() ? value.data() : "";
    check(sqlite3_bind_text64(m_handle.get(), index, data, value.size(), lifetime(bound), SQLITE_UTF8));
}

void Statement::bindBlob(int index, std::string_view value, Bound bound) {
    const char* data = value.data() ? value.data() : "";
    check(sqlite3_bind_blob64(m_handle.get(), index, data, value.size(), lifetime(bound)));
}

bool Statement::step() {
    const int code = sqlite3_step(m_handle.get());
    if (code == SQLITE_ROW) return true;
    if (code == SQLITE_DONE) {
        reset();
        return false;
    }
    const SqliteError error(m_database);
    reset();
    throw error;
}

void Statement::run() {
    while (step()) {}
}

double Statement::real(int column) const {
    return isNull(column) ? std::numeric_limits<double>::quiet_NaN() : sqlite3_column_double(m_handle.get(), column);
}

std::string_view Statement::text(int column) const {
    const auto* data = reinterpret_cast<const char*>(sqlite3_column_text(m_handle.get(), column));
    return data ? std::string_view(data, static_cast<std::size_t>(sqlite3_column_bytes(m_handle.get(), column)))
                : std::string_view();
}

std::string_view Statement::blob(int column) const {
    const auto* data = static_cast<const char*>(sqlite3_column_blob(m_handle.get(), column));
    return data ? std::string_view(data, static_cast<std::size_t>(sqlite3_column_bytes(m_handle.get(), column)))
                : std::string_view();
}

Database::Database(const std::filesystem::path& file, OpenMode mode) {
    sqlite3* database = nullptr;
    int code = SQLITE_OK;
    if (mode == OpenMode::Immutable) {
        code = sqlite3_open_v2(immutableUri(file).c_str(), &database, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, nullptr);
    } else {
        const int create = mode == OpenMode::Create ? SQLITE_OPEN_CREATE : 0;
        code = sqlite3_open_v2(file.c_str(), &database, SQLITE_OPEN_READWRITE | create, nullptr);
    }
    m_handle.reset(database);
    if (!database) throw SqliteError(SQLITE_NOMEM, "out of memory");
    sqlite3_extended_result_codes(database, 1);
    if (code != SQLITE_OK) throw SqliteError(database);
    sqlite3_busy_timeout(database, kBusyTimeoutMs);
}

void Database::execute(const char* sql) {
    if (sqlite3_exec(m_handle.get(), sql, nullptr, nullptr, nullptr) != SQLITE_OK) throw SqliteError(m_handle.get());
}

std::int64_t Database::queryInteger(const char* sql) {
    Statement statement(m_handle.get(), sql);
    const std::int64_t value = statement.step() ? statement.integer(0) : 0;
    return value;
}

}  // namespace expertscope
