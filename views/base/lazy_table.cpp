// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/base/lazy_table.h"

#include <utility>

namespace expertscope {

void LazyTable::setRows(QStringList columns, int count, std::function<Row(int)> row) {
    beginResetModel();
    m_columns = std::move(columns);
    m_count = count;
    m_row = std::move(row);
    m_lastRow = -1;
    endResetModel();
}

int LazyTable::rowCount(const QModelIndex& parent) const { return parent.isValid() ? 0 : m_count; }

int LazyTable::columnCount(const QModelIndex& parent) const {
    return parent.isValid() ? 0 : static_cast<int>(m_columns.size());
}

QVariant LazyTable::data(const QModelIndex& index, int role) const {
    if (!index.isValid()) return {};
    if (index.row() != m_lastRow) {
        m_last = m_row(index.row());
        m_lastRow = index.row();
    }
    const auto column = static_cast<std::size_t>(index.column());
    return column < m_last.size() ? cellData(m_last[column], role) : QVariant();
}

QVariant LazyTable::headerData(int section, Qt::Orientation orientation, int role) const {
    if (orientation == Qt::Horizontal && role == Qt::DisplayRole) return m_columns.value(section);
    return QAbstractTableModel::headerData(section, orientation, role);
}

}  // namespace expertscope
