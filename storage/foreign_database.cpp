// SPDX-License-Identifier: GPL-3.0-or-later
#include "storage/foreign_database.h"

#include <map>
#include <optional>
#include <variant>

#include <fmt/format.h>

#include "engine/base/error.h"
#include "storage/sqlite_db.h"

namespace expertscope {
namespace {

[[noreturn]] void throwUnreadable(const std::filesystem::path& file, const SqliteError& error) {
    throw BadInputError(
        fmt::format("The database {} cannot be read ({}): export it again.", file.string(), error.what()),
        error.what());
}

[[noreturn]] void throwUnwritable(const std::filesystem::path& file, const std::string& why) {
    throw FailedError(
        fmt::format("The database {} cannot be written ({}); check that its folder exists, may be written "
                    "and has room.",
                    file.string(), why),
        why);
}

struct BindValue {
    Statement& statement;
    int index;
    void operator()(std::monostate) const { statement.bindNull(index); }
    void operator()(std::int64_t value) const { statement.bind(index, value); }
    void operator()(double value) const { statement.bind(index, value); }
    void operator()(const std::string& value) const { statement.bindText(index, value); }
    void operator()(const SqlBlob& value) const { statement.bindBlob(index, value.bytes); }
};

}  // namespace

struct ForeignDatabase::Impl {
    std::filesystem::path file;
    Database database;
};

struct ForeignRows::Impl {
    std::filesystem::path file;
    Statement statement;
};

ForeignRows::ForeignRows(std::unique_ptr<Impl> impl) : m_impl(std::move(impl)) {}
ForeignRows::~ForeignRows() = default;
ForeignRows::ForeignRows(ForeignRows&&) noexcept = default;
ForeignRows& ForeignRows::operator=(ForeignRows&&) noexcept = default;

bool ForeignRows::next() {
    try {
        return m_impl->statement.step();
    } catch (const SqliteError& error) { throwUnreadable(m_impl->file, error); }
}

bool ForeignRows::isNull(int column) const { return m_impl->statement.isNull(column); }
std::int64_t ForeignRows::integer(int column) const { return m_impl->statement.integer(column); }
double ForeignRows::real(int column) const { return m_impl->statement.real(column); }
std::string ForeignRows::text(int column) const { return std::string(m_impl->statement.text(column)); }

ForeignDatabase::ForeignDatabase(const std::filesystem::path& file) {
    std::error_code error;
    if (!std::filesystem::is_regular_file(file, error))
        throw BadInputError(fmt::format("There is no file {}: check its name.", file.string()));
    try {
        // Another program may keep a log beside its database, which must be read with it; without one nothing is
        // locked.
        const std::filesystem::path log = file.string() + "-wal";
        const OpenMode mode = std::filesystem::exists(log, error) ? OpenMode::Existing : OpenMode::Immutable;
        m_impl = std::make_unique<Impl>(Impl{file, Database(file, mode)});
        m_impl->database.execute("PRAGMA query_only=1");
        m_impl->database.queryInteger("SELECT count(*) FROM sqlite_schema");
    } catch (const SqliteError& failure) { throwUnreadable(file, failure); }
}

ForeignDatabase::~ForeignDatabase() = default;

const std::filesystem::path& ForeignDatabase::file() const { return m_impl->file; }

std::vector<std::string> ForeignDatabase::columns(std::string_view table) const {
    std::vector<std::string> names;
    try {
        Statement column(m_impl->database.handle(), "SELECT name FROM pragma_table_info(?)");
        column.bindText(1, table);
        while (column.step())
            names.emplace_back(column.text(0));
    } catch (const SqliteError& error) { throwUnreadable(m_impl->file, error); }
    return names;
}

ForeignRows ForeignDatabase::query(const std::string& sql) const {
    try {
        return ForeignRows(std::make_unique<ForeignRows::Impl>(
            ForeignRows::Impl{m_impl->file, Statement(m_impl->database.handle(), sql)}));
    } catch (const SqliteError& error) { throwUnreadable(m_impl->file, error); }
}

struct ForeignDatabaseWriter::Impl {
    std::filesystem::path file;
    std::optional<Database> database;
    std::map<std::string, Statement> inserts;  ///< by table
};

ForeignDatabaseWriter::ForeignDatabaseWriter(const std::filesystem::path& file) : m_impl(std::make_unique<Impl>()) {
    m_impl->file = file;
    std::error_code error;
    std::filesystem::remove(file, error);
    if (error) throwUnwritable(file, error.message());
    try {
        m_impl->database.emplace(file, OpenMode::Create);
        // Nobody reads it before it is whole.
        execute("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; BEGIN");
    } catch (const SqliteError& failure) { throwUnwritable(file, failure.what()); }
}

ForeignDatabaseWriter::~ForeignDatabaseWriter() = default;

void ForeignDatabaseWriter::execute(const std::string& sql) {
    try {
        m_impl->database->execute(sql.c_str());
    } catch (const SqliteError& error) { throwUnwritable(m_impl->file, error.what()); }
}

void ForeignDatabaseWriter::insert(const std::string& table, std::span<const SqlValue> values) {
    try {
        auto insert = m_impl->inserts.find(table);
        if (insert == m_impl->inserts.end()) {
            std::string marks;
            for (std::size_t i = 0; i < values.size(); ++i)
                marks += i > 0 ? ", ?" : "?";
            const std::string sql = fmt::format("INSERT INTO \"{}\" VALUES({})", table, marks);
            insert = m_impl->inserts.emplace(table, Statement(m_impl->database->handle(), sql)).first;
        }
        for (std::size_t i = 0; i < values.size(); ++i)
            std::visit(BindValue{insert->second, static_cast<int>(i) + 1}, values[i]);
        insert->second.run();
    } catch (const SqliteError& error) { throwUnwritable(m_impl->file, error.what()); }
}

void ForeignDatabaseWriter::close() {
    m_impl->inserts.clear();
    execute("COMMIT");
    m_impl->database.reset();
}

}  // namespace expertscope
