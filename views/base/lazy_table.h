// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QAbstractTableModel>
#include <QStringList>
#include <functional>
#include <vector>

#include "views/base/table_model.h"

namespace expertscope {

/// A table twin of many rows: each is made when it is looked at, so that nobody pays for what is not shown. Cells as
/// TableModel shows them.
class LazyTable : public QAbstractTableModel {
    Q_OBJECT
public:
    using Row = std::vector<TableCell>;
    using QAbstractTableModel::QAbstractTableModel;

    /// `row` is asked for rows 0 … count − 1 until the next call.
    void setRows(QStringList columns, int count, std::function<Row(int)> row);

    int rowCount(const QModelIndex& parent = {}) const override;
    int columnCount(const QModelIndex& parent = {}) const override;
    QVariant data(const QModelIndex& index, int role = Qt::DisplayRole) const override;
    QVariant headerData(int section, Qt::Orientation orientation, int role = Qt::DisplayRole) const override;

private:
    QStringList m_columns;
    int m_count = 0;
    std::function<Row(int)> m_row;
    mutable int m_lastRow = -1;  ///< views ask for a row's cells one after the other
    mutable Row m_last;
};

}  // namespace expertscope
