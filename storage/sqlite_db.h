// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

// A thin layer over the SQLite C interface for this room only: owned handles, and failures as SqliteError, which the
// public classes turn into sentences (session_errors.h).

#include <cstdint>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

#include "storage/sqlite_api.h"

namespace expertscope {

/// A failed SQLite call: the extended result code, the operating system's error number behind it (or 0) and the
/// message.
class SqliteError : public std::runtime_error {
public:
    explicit SqliteError(sqlite3* database);
    SqliteError(int code, const std::string& message) : std::runtime_error(message), m_code(code) {}
    int code() const { return m_code; }
    int primaryCode() const { return m_code & 0xff; }
    int systemError() const { return m_systemError; }

private:
    int m_code = 0;
    int m_systemError = 0;
};

/// One prepared statement.
class Statement {
public:
    Statement(sqlite3* database, std::string_view sql);

    void bind(int index, std::int64_t value);
    void bind(int index, double value);  ///< NaN is stored as NULL
    /// Whose bytes a statement is bound to.
    enum class Bound {
        Copied,
        InPlace  ///< they stay where they are until the statement has run
    };
    void bindText(int index, std::string_view value, Bound bound = Bound::Copied);
    void bindBlob(int index, std::string_view value, Bound bound = Bound::Copied);
    void bindNull(int index);
    /// True while there is a row. A statement that ends is reset, so that it keeps no read transaction open.
    bool step();
    /// Runs a statement that gives no rows, and makes it ready for the next bindings.
    void run();
    void reset() { sqlite3_reset(m_handle.get()); }

    std::int64_t integer(int column) const { return sqlite3_column_int64(m_handle.get(), column); }
    double real(int column) const;  ///< NaN where NULL
    bool isNull(int column) const { return sqlite3_column_type(m_handle.get(), column) == SQLITE_NULL; }
    /// Valid until the next step().
    std::string_view text(int column) const;
    std::string_view blob(int column) const;
    sqlite3_stmt* handle() const { return m_handle.get(); }

private:
    void check(int code);
    struct Finalizer {
        void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
    };
    sqlite3* m_database;
    std::unique_ptr<sqlite3_stmt, Finalizer> m_handle;
};

enum class OpenMode {
    Existing,  ///< reading and writing as far as the file allows
    Create,    ///< likewise, made if missing
    Immutable  ///< reading, on the promise that nobody writes; needs no write permission for the folder
};

/// One connection.
class Database {
public:
    Database(const std::filesystem::path& file, OpenMode mode);

    void execute(const char* sql);
    std::int64_t queryInteger(const char* sql);
    sqlite3* handle() const { return m_handle.get(); }

private:
    struct Closer {
        void operator()(sqlite3* database) const { sqlite3_close_v2(database); }
    };
    std::unique_ptr<sqlite3, Closer> m_handle;
};

/// Rolls back at the end of its scope unless committed.
class Transaction {
public:
    Transaction(Database& database, const char* begin) : m_database(database) { m_database.execute(begin); }
    ~Transaction() {
        if (!m_done) sqlite3_exec(m_database.handle(), "ROLLBACK", nullptr, nullptr, nullptr);
    }
    Transaction(const Transaction&) = delete;
    Transaction& operator=(const Transaction&) = delete;
    void commit() {
        m_database.execute("COMMIT");
        m_done = true;
    }

private:
    Database& m_database;
    bool m_done = false;
};

}  // namespace expertscope
