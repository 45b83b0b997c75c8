// SPDX-License-Identifier: GPL-3.0-or-later
#include "storage/record_scan.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include <fmt/format.h>

namespace expertscope {
namespace {

constexpr std::int64_t kLeast = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
constexpr int kWords = 256;

const RecordColumn* columnOf(const RecordTable& table, const ScanCondition& condition) {
    return condition.column == 0 ? nullptr : &table.columns[static_cast<std::size_t>(condition.column) - 1];
}

bool isUpper(ScanCondition::Operator op) { return op == ScanCondition::Less || op == ScanCondition::AtMost; }

/// What the condition, whose value is parameter `parameter`, asks of a chunk; SQLite applies the exact one to the rows.
std::string chunkCondition(const RecordTable& table, const ScanCondition& condition, int parameter) {
    const RecordColumn* column = columnOf(table, condition);
    if (!column) return fmt::format(" AND run_id=?{}", parameter);
    const bool token = column->index == ChunkIndex::Token;
    const char* const first = token ? "first_token" : "start_ns";
    const char* const last = token ? "last_token" : "end_ns";
    if (condition.op == ScanCondition::Equals)
        return fmt::format(" AND {0}<=?{2} AND {1}>=?{2}", first, last, parameter);
    return isUpper(condition.op) ? fmt::format(" AND {}<=?{}", first, parameter)
                                 : fmt::format(" AND {}>=?{}", last, parameter);
}

/// The number of a word of the column; one past the last where there is no such word.
std::int64_t numberOf(const RecordColumn& column, std::string_view word) {
    std::int64_t number = 0;
    while (number < kWords && column.word(number) != word)
        ++number;
    return number;
}

}  // namespace

ConditionUse useOfCondition(const RecordTable& table, const ScanCondition& condition) {
    const RecordColumn* column = columnOf(table, condition);
    const bool equals = condition.op == ScanCondition::Equals;
    if (!column) return equals ? ConditionUse::Run : ConditionUse::None;
    if (column->index != ChunkIndex::None) return ConditionUse::Chunks;
    switch (column->kind) {
        case SqlKind::Id:
        case SqlKind::Integer:
        case SqlKind::TimeOrNull:
            return ConditionUse::Rows;
        case SqlKind::Word:
            return equals ? ConditionUse::Rows : ConditionUse::None;
        default:
            return ConditionUse::None;
    }
}

void RecordScan::addFilter(const ScanCondition& condition, sqlite3_value* value) {
    const RecordColumn* column = columnOf(m_table, condition);
    if (!column) return;
    const int type = sqlite3_value_type(value);
    if (column->kind == SqlKind::Word) {
        if (type != SQLITE_TEXT) return;
        const std::string_view word(reinterpret_cast<const char*>(sqlite3_value_text(value)),
                                    static_cast<std::size_t>(sqlite3_value_bytes(value)));
        // Numbers that a newer program gave a meaning are all told as "unknown".
        if (word == "unknown") return;
        const std::int64_t number = numberOf(*column, word);
        return m_filters.push_back({column->source, number, number});
    }
    // Numbers with a fraction and texts are left to SQLite, which knows how they compare.
    if (type != SQLITE_INTEGER) return;
    const std::int64_t bound = sqlite3_value_int64(value);
    m_filters.push_back({column->source, isUpper(condition.op) ? kLeast : bound,
                         condition.op == ScanCondition::Equals || isUpper(condition.op) ? bound : kMost});
}

void RecordScan::start(const std::vector<ScanCondition>& conditions, sqlite3_value** values, std::uint32_t wanted) {
    m_filters.clear();
    std::string sql;
    int parameter = 1;
    for (const ScanCondition& condition : conditions) {
        if (useOfCondition(m_table, condition) != ConditionUse::Rows)
            sql += chunkCondition(m_table, condition, parameter);
        addFilter(condition, values[parameter - 1]);
        ++parameter;
    }
    m_sources = 0;
    for (std::size_t i = 0; i < m_table.columns.size(); ++i) {
        const RecordColumn& column = m_table.columns[i];
        if ((wanted >> (i + 1) & 1) == 0) continue;
        m_sources |= 1U << column.source;
        if (column.payloadType >= 0) m_sources |= 1U << column.payloadType;
    }
    for (const RowFilter& filter : m_filters)
        m_sources |= 1U << filter.source;
    if (m_table.shownBy >= 0) m_sources |= 1U << m_table.shownBy;
    m_columns.resize(static_cast<std::size_t>(m_table.layout.columns));

    sql = fmt::format("SELECT id, run_id, encoding, count{} FROM chunk WHERE kind='{}'{} ORDER BY id",
                      m_sources == 0 ? "" : ", data", m_table.layout.kind, sql);
    if (!m_chunks || sql != m_sql) {
        try {
            m_chunks.emplace(m_database, sql);
        } catch (const SqliteError& error) {
            // In the program a file has been looked at before; the extension meets any database.
            if (error.primaryCode() != SQLITE_ERROR) throw;
            throw SqliteError(SQLITE_ERROR,
                              fmt::format("this database is not an ExpertScope session: {}", error.what()));
        }
        m_sql = sql;
    }
    m_chunks->reset();
    parameter = 1;
    for (const ScanCondition& condition : conditions) {
        if (useOfCondition(m_table, condition) != ConditionUse::Rows)
            sqlite3_bind_value(m_chunks->handle(), parameter, values[parameter - 1]);
        ++parameter;
    }
    restart();
}

void RecordScan::restart() {
    m_chunks->reset();
    m_at = m_count = 0;
    m_ended = false;
    settle();
}

std::vector<int> RecordScan::sources() const {
    std::vector<int> sources;
    for (int source = 0; source < m_table.layout.columns; ++source)
        if ((m_sources >> source & 1) != 0) sources.push_back(source);
    return sources;
}

void RecordScan::next() {
    ++m_at;
    settle();
}

bool RecordScan::readChunk() {
    if (!m_chunks->step()) return false;
    m_chunk = m_chunks->integer(0);
    m_run = m_chunks->integer(1);
    const std::int64_t count = m_chunks->integer(3);
    if (m_sources != 0) {
        decodeColumns(m_table.layout, m_chunks->integer(2), count, m_chunks->blob(4), m_sources, m_columns);
    } else if (count < 0 || count > kMostChunkRecords) {
        throw DamagedChunk(fmt::format("it claims {} records", count));
    }
    m_count = static_cast<std::size_t>(count);
    m_at = 0;
    return true;
}

bool RecordScan::shows(std::size_t row) const {
    for (const RowFilter& filter : m_filters) {
        const std::int64_t value = m_columns[static_cast<std::size_t>(filter.source)][row];
        if (value < filter.least || value > filter.most) return false;
    }
    return m_table.shownBy < 0 || !std::isnan(std::bit_cast<float>(static_cast<std::uint32_t>(
                                      m_columns[static_cast<std::size_t>(m_table.shownBy)][row])));
}

/// Moves to a row that is shown, over chunks' ends.
void RecordScan::settle() {
    for (;; ++m_at) {
        while (m_at >= m_count) {
            m_ended = !readChunk();
            if (m_ended) return;
        }
        if (shows(m_at)) return;
    }
}

}  // namespace expertscope
