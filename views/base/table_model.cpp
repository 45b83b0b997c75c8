// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/base/table_model.h"

#include <cmath>

#include "views/base/number_format.h"

namespace expertscope {

TableCell numberCell(double value) { return {numberText(value), std::isfinite(value) ? QVariant(value) : QVariant()}; }

TableCell percentCell(double share) {
    return {percentText(share), std::isfinite(share) ? QVariant(share) : QVariant()};
}

TableCell countCell(std::int64_t count) { return {countText(count), QVariant(static_cast<qlonglong>(count))}; }

TableCell indexCell(int index) { return {QString::number(index), index}; }

QVariant cellData(const TableCell& cell, int role) {
    const bool isText = cell.exact.userType() == QMetaType::QString || !cell.exact.isValid();
    switch (role) {
        case Qt::DisplayRole:
            return cell.text;
        case Qt::EditRole:
            return cell.exact;
        case Qt::ToolTipRole:
            return isText ? QVariant() : QVariant(cell.exact.toString());
        case Qt::TextAlignmentRole:
            return static_cast<int>((isText ? Qt::AlignLeft : Qt::AlignRight) | Qt::AlignVCenter);
        default:
            return {};
    }
}

void TableModel::setTable(QStringList columns, std::vector<std::vector<TableCell>> rows) {
    beginResetModel();
    m_columns = std::move(columns);
    m_rows = std::move(rows);
    endResetModel();
}

int TableModel::rowCount(const QModelIndex& parent) const {
    return parent.isValid() ? 0 : static_cast<int>(m_rows.size());
}

int TableModel::columnCount(const QModelIndex& parent) const {
    return parent.isValid() ? 0 : static_cast<int>(m_columns.size());
}

QVariant TableModel::data(const QModelIndex& index, int role) const {
    if (!index.isValid()) return {};
    const auto& row = m_rows.at(static_cast<std::size_t>(index.row()));
    if (static_cast<std::size_t>(index.column()) >= row.size()) return {};
    return cellData(row[static_cast<std::size_t>(index.column())], role);
}

QVariant TableModel::headerData(int section, Qt::Orientation orientation, int role) const {
    if (orientation == Qt::Horizontal && role == Qt::DisplayRole) return m_columns.value(section);
    return QAbstractTableModel::headerData(section, orientation, role);
}

}  // namespace expertscope
