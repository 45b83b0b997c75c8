// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QAbstractTableModel>

#include "views/experts/expert_map_model.h"

namespace expertscope {

/// Table twin of the expert heat map: a row for each (layer, expert), all its measures. Reads the map's model cell by
/// cell, so that a live run costs nothing while nobody looks.
class ExpertTable : public QAbstractTableModel {
    Q_OBJECT
public:
    explicit ExpertTable(const ExpertMapModel& model, QObject* parent = nullptr);

    /// The model counts another run.
    void reset();
    /// The model's numbers have changed.
    void changed();

    int rowCount(const QModelIndex& parent = {}) const override;
    int columnCount(const QModelIndex& parent = {}) const override;
    QVariant data(const QModelIndex& index, int role = Qt::DisplayRole) const override;
    QVariant headerData(int section, Qt::Orientation orientation, int role = Qt::DisplayRole) const override;

private:
    const ExpertMapModel& m_model;
    int m_rows = 0;
};

}  // namespace expertscope
