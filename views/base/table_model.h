// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QAbstractTableModel>
#include <QString>
#include <QVariant>
#include <cstdint>
#include <vector>

namespace expertscope {

/// One cell of a table twin: as it is shown, and the exact value for sorting and copying.
struct TableCell {
    QString text;
    QVariant exact;
    TableCell() = default;
    TableCell(QString shown) : text(std::move(shown)), exact(text) {}  // NOLINT: cells are written in rows
    TableCell(QString shown, QVariant value) : text(std::move(shown)), exact(std::move(value)) {}
};

/// Cells of numbers as they are written everywhere; one that is not finite is "–" and holds nothing exact.
TableCell numberCell(double value);
TableCell percentCell(double share);
TableCell countCell(std::int64_t count);
/// A layer, an expert: no thousands separated.
TableCell indexCell(int index);

/// What a table shows of a cell in a role: its text, the exact value (also as tooltip of a number), its side.
QVariant cellData(const TableCell& cell, int role);

/// A table twin that is small enough to be kept as rows: text in DisplayRole, the exact value in EditRole, numbers
/// right-aligned, the exact number as tooltip.
class TableModel : public QAbstractTableModel {
    Q_OBJECT
public:
    using QAbstractTableModel::QAbstractTableModel;
    void setTable(QStringList columns, std::vector<std::vector<TableCell>> rows);

    int rowCount(const QModelIndex& parent = {}) const override;
    int columnCount(const QModelIndex& parent = {}) const override;
    QVariant data(const QModelIndex& index, int role = Qt::DisplayRole) const override;
    QVariant headerData(int section, Qt::Orientation orientation, int role = Qt::DisplayRole) const override;

private:
    QStringList m_columns;
    std::vector<std::vector<TableCell>> m_rows;
};

}  // namespace expertscope
