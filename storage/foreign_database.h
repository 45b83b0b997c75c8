// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "storage/sql.h"

namespace expertscope {

/// Rows of a query of a foreign database, taken one by one. Valid while its database is.
class ForeignRows {
public:
    ~ForeignRows();
    ForeignRows(ForeignRows&&) noexcept;
    ForeignRows& operator=(ForeignRows&&) noexcept;

    /// Moves to the next row; false after the last one. Throws BadInputError where the file is damaged there.
    bool next();
    bool isNull(int column) const;
    /// NULL is 0; a text the number that it begins with.
    std::int64_t integer(int column) const;
    double real(int column) const;
    std::string text(int column) const;  ///< NULL is empty

private:
    friend class ForeignDatabase;
    struct Impl;
    explicit ForeignRows(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> m_impl;
};

/// A SQLite database of another program, read and never written. Which tables and columns it has is asked, not assumed.
class ForeignDatabase {
public:
    /// Throws BadInputError where the file is missing or no SQLite database.
    explicit ForeignDatabase(const std::filesystem::path& file);
    ~ForeignDatabase();
    ForeignDatabase(const ForeignDatabase&) = delete;
    ForeignDatabase& operator=(const ForeignDatabase&) = delete;

    const std::filesystem::path& file() const;
    /// The columns of a table or view in order; empty where there is none of that name.
    std::vector<std::string> columns(std::string_view table) const;
    /// Throws BadInputError with SQLite's words where the query cannot be answered.
    ForeignRows query(const std::string& sql) const;

private:
    struct Impl;
    std::unique_ptr<Impl> m_impl;
};

/// Makes a SQLite database for another program: tables and rows, in one transaction. A file that is there is replaced.
class ForeignDatabaseWriter {
public:
    /// Throws FailedError where the file cannot be made.
    explicit ForeignDatabaseWriter(const std::filesystem::path& file);
    ~ForeignDatabaseWriter();
    ForeignDatabaseWriter(const ForeignDatabaseWriter&) = delete;
    ForeignDatabaseWriter& operator=(const ForeignDatabaseWriter&) = delete;

    /// Runs statements without results.
    void execute(const std::string& sql);
    /// Adds a row of all columns in order. Throws FailedError where it cannot be written.
    void insert(const std::string& table, std::span<const SqlValue> values);
    /// Commits. Without it the file holds nothing.
    void close();

private:
    struct Impl;
    std::unique_ptr<Impl> m_impl;
};

}  // namespace expertscope
