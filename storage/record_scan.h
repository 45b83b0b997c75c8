// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "storage/record_columns.h"
#include "storage/sqlite_db.h"

namespace expertscope {

/// A condition of a query that a scan uses: `column` OP value. Column 0 is run_id, the others are the table's.
struct ScanCondition {
    int column = 0;
    enum Operator : char { Equals = '=', Less = '<', AtMost = 'l', Greater = '>', AtLeast = 'g' } op = Equals;
};

/// Whether a scan of the table makes use of the condition, and for what.
enum class ConditionUse { None, Run, Chunks, Rows };
ConditionUse useOfCondition(const RecordTable& table, const ScanCondition& condition);

/// Steps through the records of a table that meet some conditions, one decoded chunk in memory at a time. It may give
/// more rows than meet them (SQLite checks again), never fewer. All calls throw SqliteError and DamagedChunk.
class RecordScan {
public:
    RecordScan(const RecordTable& table, sqlite3* database) : m_table(table), m_database(database) {}

    /// `wanted`: bits of the table's columns (bit 0 is run_id) that will be asked for. One value a condition.
    void start(const std::vector<ScanCondition>& conditions, sqlite3_value** values, std::uint32_t wanted);
    /// Begins again with the same conditions and values.
    void restart();
    bool ended() const { return m_ended; }
    void next();
    /// The columns of the chunk that stored() may be asked for.
    std::vector<int> sources() const;
    std::int64_t run() const { return m_run; }
    /// The stored number of a column of the chunk (not of the table).
    std::int64_t stored(int source) const { return m_columns[static_cast<std::size_t>(source)][m_at]; }
    /// The same for the same record as long as the file stays as it is.
    std::int64_t rowId() const { return m_chunk * kMostChunkRecords + static_cast<std::int64_t>(m_at); }

private:
    /// Of the rows that a chunk holds, those in which a stored number lies between two others.
    struct RowFilter {
        int source;
        std::int64_t least, most;
    };
    void addFilter(const ScanCondition& condition, sqlite3_value* value);
    bool readChunk();
    bool shows(std::size_t row) const;
    void settle();

    const RecordTable& m_table;
    sqlite3* m_database;
    std::string m_sql;  ///< of m_chunks
    std::optional<Statement> m_chunks;
    std::vector<RowFilter> m_filters;
    std::vector<std::vector<std::int64_t>> m_columns;  ///< of the chunk; those that are wanted are filled
    std::uint32_t m_sources = 0;                       ///< bits of m_columns that are wanted
    std::size_t m_at = 0, m_count = 0;
    std::int64_t m_chunk = 0, m_run = 0;
    bool m_ended = true;
};

}  // namespace expertscope
