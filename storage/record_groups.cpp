// SPDX-License-Identifier: GPL-3.0-or-later
#include "storage/record_groups.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <string_view>
#include <utility>

namespace expertscope {
namespace {

constexpr std::array<std::string_view, 13> kFewValued{
    "layer",      "expert",       "lane",        "slot",         "first_use",    "name_id",     "rank",
    "from_layer", "target_layer", "cause_layer", "cause_expert", "routed_layer", "issued_layer"};

/// Of the keys whose groups are looked up without a hash: a megabyte.
constexpr int kDirectBits = 18;

std::uint64_t mixed(std::uint64_t hash, std::int64_t value) {
    hash = (hash ^ static_cast<std::uint64_t>(value)) * 0x9e3779b97f4a7c15;
    return hash ^ hash >> 29;
}

}  // namespace

bool RecordGroups::canGroupBy(const RecordTable& table, int column) {
    if (column < 0) return false;
    if (column == 0) return true;
    const RecordColumn& of = table.columns[static_cast<std::size_t>(column) - 1];
    return of.kind == SqlKind::Word || std::ranges::find(kFewValued, std::string_view(of.name)) != kFewValued.end();
}

void RecordGroups::start(std::vector<int> columns) {
    m_columns = std::move(columns);
    m_groups.clear();
    m_byHash.clear();
    m_key.resize(m_columns.size());
    m_bits = kDirectBits / static_cast<int>(m_columns.size());
    m_direct.assign(std::size_t{1} << kDirectBits, -1);
    m_sources = m_scan.sources();
    m_stride = 2 + m_sources.size();
    m_places.assign(static_cast<std::size_t>(m_table.layout.columns), 0);
    for (std::size_t i = 0; i < m_sources.size(); ++i)
        m_places[static_cast<std::size_t>(m_sources[i])] = 2 + i;
    countRows();
    m_order.resize(m_groups.size());
    std::iota(m_order.begin(), m_order.end(), std::size_t{0});
    std::ranges::sort(m_order,
                      [&](std::size_t a, std::size_t b) { return isBefore(m_groups[a].key, m_groups[b].key); });
    m_to = 0;
    readGroups();
}

/// What a column of the table shows of the row that the scan stands at; -1 for every id that is NULL.
std::int64_t RecordGroups::keyOf(int column) const {
    if (column == 0) return m_scan.run();
    const RecordColumn& of = m_table.columns[static_cast<std::size_t>(column) - 1];
    const std::int64_t value = m_scan.stored(of.source);
    return of.kind == SqlKind::Id ? std::max<std::int64_t>(value, -1) : value;
}

/// As SQL orders what the columns show: NULL first, words by their letters.
bool RecordGroups::isBefore(const Key& a, const Key& b) const {
    for (std::size_t i = 0; i < m_columns.size(); ++i) {
        if (a[i] == b[i]) continue;
        const RecordColumn* of =
            m_columns[i] == 0 ? nullptr : &m_table.columns[static_cast<std::size_t>(m_columns[i]) - 1];
        if (!of || of->kind != SqlKind::Word) return a[i] < b[i];
        // Numbers of a newer program all read "unknown".
        if (const auto order = of->word(a[i]) <=> of->word(b[i]); order != 0) return order < 0;
    }
    return false;
}

std::size_t RecordGroups::groupOfRow() {
    std::size_t place = 0;
    bool isSmall = true;
    for (std::size_t i = 0; i < m_columns.size(); ++i) {
        m_key[i] = keyOf(m_columns[i]);
        const auto shifted = static_cast<std::uint64_t>(m_key[i]) + 1;  // NULL is -1
        isSmall = isSmall && shifted >> m_bits == 0;
        place = place << m_bits | shifted;
    }
    if (!isSmall) return groupOfKey();
    if (m_direct[place] < 0) m_direct[place] = static_cast<std::int32_t>(groupOfKey());
    return static_cast<std::size_t>(m_direct[place]);
}

std::size_t RecordGroups::groupOfKey() {
    std::uint64_t hash = 0;
    for (const std::int64_t value : m_key)
        hash = mixed(hash, value);
    for (;; ++hash) {  // another key may have the same hash
        const auto [found, isNew] = m_byHash.try_emplace(hash, m_groups.size());
        if (isNew) m_groups.push_back({m_key});
        if (isNew || m_groups[found->second].key == m_key) return found->second;
    }
}

void RecordGroups::countRows() {
    for (; !m_scan.ended(); m_scan.next())
        ++m_groups[groupOfRow()].rows;
}

/// Goes on to the next groups in order: as many as may be kept, or one that is larger by itself.
void RecordGroups::readGroups() {
    m_from = m_to;
    m_ended = m_from == m_order.size();
    if (m_ended) return;
    std::size_t rows = 0;
    do {
        rows += m_groups[m_order[m_to++]].rows;
    } while (m_to < m_order.size() && (rows + m_groups[m_order[m_to]].rows) * m_stride <= m_mostValues);
    m_scan.restart();
    m_streamed = rows * m_stride > m_mostValues;
    m_streamed ? findStreamed() : keepRows(rows);
}

void RecordGroups::keepRows(std::size_t rows) {
    for (Group& group : m_groups)
        group.at = group.end = 0;
    std::size_t at = 0;
    for (std::size_t i = m_from; i < m_to; ++i) {
        Group& group = m_groups[m_order[i]];
        group.at = at;
        group.end = at += group.rows;
    }
    m_values.resize(rows * m_stride);
    for (; !m_scan.ended(); m_scan.next()) {
        Group& group = m_groups[groupOfRow()];
        if (group.end == 0) continue;
        if (group.at == group.end) throw DamagedChunk("records came while they were read");
        std::int64_t* to = &m_values[group.at++ * m_stride];
        *to++ = m_scan.run();
        *to++ = m_scan.rowId();
        for (const int source : m_sources)
            *to++ = m_scan.stored(source);
    }
    m_row = 0;
    m_rows = rows;
}

void RecordGroups::findStreamed() {
    while (!m_scan.ended() && groupOfRow() != m_order[m_from])
        m_scan.next();
    if (m_scan.ended()) readGroups();
}

void RecordGroups::next() {
    if (m_streamed) {
        m_scan.next();
        findStreamed();
    } else if (++m_row == m_rows) {
        readGroups();
    }
}

}  // namespace expertscope
