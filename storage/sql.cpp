// SPDX-License-Identifier: GPL-3.0-or-later
#include "storage/sql.h"

#include <optional>

#include <fmt/format.h>

#include "engine/base/error.h"
#include "engine/base/record_names.h"
#include "storage/record_tables.h"
#include "storage/schema.h"
#include "storage/session_errors.h"
#include "storage/session_open.h"

namespace expertscope {
namespace {

constexpr const char* kTables =
    "run, model, request, token, lane, diagnostic, selection, span, range, transfer, residency, norm and prediction";

/// Lets a query read and nothing else: SQLite counts ATTACH and some PRAGMAs among what does not write.
int allowReading(void*, int action, const char* subject, const char*, const char*, const char*) {
    switch (action) {
        case SQLITE_SELECT:
        case SQLITE_READ:
        case SQLITE_FUNCTION:
        case SQLITE_RECURSIVE:
            return SQLITE_OK;
        case SQLITE_PRAGMA: {
            const std::string_view pragma = subject ? subject : "";
            return pragma == "table_info" || pragma == "table_list" || pragma == "table_xinfo" ? SQLITE_OK
                                                                                               : SQLITE_DENY;
        }
        default:
            return SQLITE_DENY;
    }
}

/// SQL function actual_state(state, pid, start ticks, boot id): a running run whose writer is gone has crashed.
void actualState(sqlite3_context* context, int, sqlite3_value** values) {
    const auto textOf = [](sqlite3_value* value) {
        const auto* text = reinterpret_cast<const char*>(sqlite3_value_text(value));
        return std::string(text ? text : "");
    };
    std::string state = textOf(values[0]);
    if (state == name(RunState::Running) &&
        !isAlive({sqlite3_value_int64(values[1]), sqlite3_value_int64(values[2]), textOf(values[3])})) {
        state = name(RunState::Crashed);
    }
    sqlite3_result_text(context, state.c_str(), static_cast<int>(state.size()), SQLITE_TRANSIENT);
}

/// Puts a view before the table `run` that tells each run's actual state.
void shadowRunTable(Database& database) {
    sqlite3_create_function_v2(database.handle(), "actual_state", 4, SQLITE_UTF8, nullptr, actualState, nullptr,
                               nullptr, nullptr);
    std::string columns;
    Statement column(database.handle(), "SELECT name FROM pragma_table_info('run')");
    while (column.step()) {
        const std::string_view column_name = column.text(0);
        if (!columns.empty()) columns += ", ";
        columns += column_name == "state"
                       ? "actual_state(state, writer_pid, writer_start_ticks, writer_boot_id) AS state"
                       : std::string(column_name);
    }
    database.execute(fmt::format("CREATE TEMP VIEW run AS SELECT {} FROM main.run", columns).c_str());
}

/// Older programs made the table of ranges' names with the first of them.
void provideRangeNames(Database& database) {
    if (database.queryInteger("SELECT count(*) FROM main.sqlite_schema WHERE name='range_name'") > 0) return;
    std::string sql = kRangeNameSql;
    sql.replace(sql.find("TABLE"), std::string_view("TABLE").size(), "TEMP TABLE");
    database.execute(sql.c_str());
}

bool isBlank(std::string_view text) { return text.find_first_not_of(" \t\r\n;") == std::string_view::npos; }

[[noreturn]] void throwQueryError(const std::string& why) {
    throw UsageError(fmt::format("The SQL query cannot be answered: {}. The tables are {}.", why, kTables));
}

[[noreturn]] void throwNotReading() {
    throw UsageError("The SQL query was refused because a session can only be read here; write a SELECT.");
}

}  // namespace

struct SqlQuery::Impl {
    Impl(const std::filesystem::path& path, std::string_view query)
        : file(std::filesystem::absolute(path)), database(openForReading(file)) {
        try {
            database.execute("PRAGMA query_only=0");  // the view below is temporary
            shadowRunTable(database);
            provideRangeNames(database);
            database.execute("PRAGMA query_only=1");
            if (registerRecordTables(database.handle()) != SQLITE_OK) throw SqliteError(database.handle());
        } catch (const SqliteError& error) { throwReadError(error, file); }
        sqlite3_set_authorizer(database.handle(), allowReading, nullptr);
        prepare(query);
    }

    void prepare(std::string_view query) {
        sqlite3_stmt* handle = nullptr;
        const char* rest = nullptr;
        const int code =
            sqlite3_prepare_v2(database.handle(), query.data(), static_cast<int>(query.size()), &handle, &rest);
        statement.reset(handle);
        if (code == SQLITE_AUTH) throwNotReading();
        if (code != SQLITE_OK) fail();
        if (!handle) throwQueryError("it is empty");
        if (!isBlank(query.substr(static_cast<std::size_t>(rest - query.data())))) {
            throwQueryError("it has more than one statement");
        }
        if (!sqlite3_stmt_readonly(handle)) throwNotReading();
        for (int i = 0; i < sqlite3_column_count(handle); ++i) {
            columns.emplace_back(sqlite3_column_name(handle, i));
        }
    }

    /// Throws what the connection's last error means: a fault of the file, or of the query.
    [[noreturn]] void fail() {
        const SqliteError error(database.handle());
        switch (error.primaryCode()) {
            case SQLITE_CORRUPT:
            case SQLITE_NOTADB:
            case SQLITE_IOERR:
            case SQLITE_BUSY:
                throwReadError(error, file);
            default:
                throwQueryError(error.what());
        }
    }

    struct Finalizer {
        void operator()(sqlite3_stmt* handle) const { sqlite3_finalize(handle); }
    };
    std::filesystem::path file;
    Database database;
    std::unique_ptr<sqlite3_stmt, Finalizer> statement;
    std::vector<std::string> columns;
};

SqlQuery::SqlQuery(const std::filesystem::path& file, std::string_view query)
    : m_impl(std::make_unique<Impl>(file, query)) {}
SqlQuery::~SqlQuery() = default;
SqlQuery::SqlQuery(SqlQuery&&) noexcept = default;
SqlQuery& SqlQuery::operator=(SqlQuery&&) noexcept = default;

const std::vector<std::string>& SqlQuery::columns() const { return m_impl->columns; }

bool SqlQuery::next() {
    const int code = sqlite3_step(m_impl->statement.get());
    if (code == SQLITE_ROW) return true;
    if (code != SQLITE_DONE) m_impl->fail();
    return false;
}

SqlValue SqlQuery::value(std::size_t column) const {
    sqlite3_stmt* row = m_impl->statement.get();
    const int index = static_cast<int>(column);
    const auto bytes = [&](const void* data) {
        return std::string(static_cast<const char*>(data), static_cast<std::size_t>(sqlite3_column_bytes(row, index)));
    };
    switch (sqlite3_column_type(row, index)) {
        case SQLITE_INTEGER:
            return std::int64_t{sqlite3_column_int64(row, index)};
        case SQLITE_FLOAT:
            return sqlite3_column_double(row, index);
        case SQLITE_TEXT:
            return bytes(sqlite3_column_text(row, index));
        case SQLITE_BLOB: {
            const void* data = sqlite3_column_blob(row, index);
            return data ? SqlBlob{bytes(data)} : SqlBlob{};
        }
        default:
            return std::monostate{};
    }
}

SqlResult runSql(const std::filesystem::path& file, std::string_view query) {
    SqlQuery rows(file, query);
    SqlResult result{rows.columns(), {}};
    while (rows.next()) {
        std::vector<SqlValue>& row = result.rows.emplace_back();
        for (std::size_t i = 0; i < result.columns.size(); ++i) {
            row.push_back(rows.value(i));
        }
    }
    return result;
}

}  // namespace expertscope
