// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace expertscope {

/// Bytes of a BLOB column.
struct SqlBlob {
    std::string bytes;
    bool operator==(const SqlBlob&) const = default;
};

/// One value of a row; std::monostate is NULL.
using SqlValue = std::variant<std::monostate, std::int64_t, double, std::string, SqlBlob>;

/// One SELECT over a session file, its rows taken one by one. The tables are those of docs/FORMAT.md and, decoded from
/// the chunks, `selection`, `span`, `transfer`, `residency`, `norm` and `prediction`; enumerations appear as words
/// (Outcome "in-flight"), what does not apply as NULL, times as nanoseconds on the session clock. Nothing can be
/// written.
class SqlQuery {
public:
    /// Throws BadInputError when the file is no readable session, UsageError when the query is not one SELECT that this
    /// session can answer (SQLite's own words, in the sentence, say why).
    SqlQuery(const std::filesystem::path& file, std::string_view query);
    ~SqlQuery();
    SqlQuery(SqlQuery&&) noexcept;
    SqlQuery& operator=(SqlQuery&&) noexcept;

    const std::vector<std::string>& columns() const;
    /// Moves to the next row; false after the last one.
    bool next();
    SqlValue value(std::size_t column) const;

private:
    struct Impl;
    std::unique_ptr<Impl> m_impl;
};

struct SqlResult {
    std::vector<std::string> columns;
    std::vector<std::vector<SqlValue>> rows;
};

/// All rows of `query` at once; see SqlQuery.
SqlResult runSql(const std::filesystem::path& file, std::string_view query);

}  // namespace expertscope
