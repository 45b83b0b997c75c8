// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "storage/record_scan.h"

namespace expertscope {

/// The rows of a scan in ascending order of some columns of few values, so that GROUP BY needs no sorting of its own.
/// Plain equivalent: a counting sort. The scan is gone through once to count each group's rows, and again for every
/// run of groups whose rows fit kMostValues; a group that is larger by itself is given as it is scanned. Memory is
/// bounded, time is O(rows × passes). All calls throw SqliteError and DamagedChunk.
class RecordGroups {
public:
    /// 128 MiB.
    static constexpr std::size_t kMostValues = std::size_t{1} << 24;

    RecordGroups(const RecordTable& table, RecordScan& scan, std::size_t mostValues = kMostValues)
        : m_table(table), m_scan(scan), m_mostValues(mostValues) {}
    /// Whether a column of the table has few values as a rule (column 0 is run_id).
    static bool canGroupBy(const RecordTable& table, int column);

    /// Of a scan that has just been started, with `columns` of the table among what is wanted.
    void start(std::vector<int> columns);
    bool ended() const { return m_ended; }
    void next();
    std::int64_t run() const { return isStreamed() ? m_scan.run() : value(0); }
    std::int64_t stored(int source) const {
        return isStreamed() ? m_scan.stored(source) : value(m_places[static_cast<std::size_t>(source)]);
    }
    std::int64_t rowId() const { return isStreamed() ? m_scan.rowId() : value(1); }

private:
    using Key = std::vector<std::int64_t>;
    struct Group {
        Key key;
        std::size_t rows = 0;
        std::size_t at = 0, end = 0;  ///< where its next row goes among those that are kept, and where no more may
    };
    bool isStreamed() const { return m_streamed; }
    std::int64_t value(std::size_t place) const { return m_values[m_row * m_stride + place]; }
    std::int64_t keyOf(int column) const;
    std::size_t groupOfKey();
    bool isBefore(const Key& a, const Key& b) const;
    std::size_t groupOfRow();
    void countRows();
    void readGroups();
    void keepRows(std::size_t rows);
    void findStreamed();

    const RecordTable& m_table;
    RecordScan& m_scan;
    std::size_t m_mostValues;
    std::vector<int> m_columns;
    std::vector<Group> m_groups;
    std::unordered_map<std::uint64_t, std::size_t> m_byHash;
    Key m_key;                           ///< of the row that is looked at
    int m_bits = 0;                      ///< of each column in a place of m_direct
    std::vector<std::int32_t> m_direct;  ///< groups of keys of small numbers; -1: none yet
    std::vector<std::size_t> m_order;    ///< of m_groups, ascending
    std::size_t m_from = 0, m_to = 0;    ///< part of m_order that is given now
    std::vector<std::size_t> m_places;   ///< of a source in a kept row
    std::vector<int> m_sources;          ///< that are kept
    std::size_t m_stride = 2;            ///< a kept row: run, row id, sources
    std::vector<std::int64_t> m_values;  ///< kept rows, group by group
    std::size_t m_row = 0, m_rows = 0;
    bool m_streamed = false, m_ended = true;
};

}  // namespace expertscope
