// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QAbstractTableModel>
#include <functional>

#include "views/experts/token_expert_model.h"

namespace expertscope {

/// Table twin of tokens × experts: a row for each choice that the layer made for a token, with its weight, outcome and
/// output norm, and whether the expert was resident. Reads the model cell by cell.
class TokenExpertTable : public QAbstractTableModel {
    Q_OBJECT
public:
    /// `trace` gives the records that the model was last updated from.
    TokenExpertTable(const TokenExpertModel& model, std::function<TraceView()> trace, QObject* parent = nullptr);

    /// The model shows another run.
    void reset();
    /// The model has grown, or shows another layer.
    void changed();

    int rowCount(const QModelIndex& parent = {}) const override;
    int columnCount(const QModelIndex& parent = {}) const override;
    QVariant data(const QModelIndex& index, int role = Qt::DisplayRole) const override;
    QVariant headerData(int section, Qt::Orientation orientation, int role = Qt::DisplayRole) const override;

private:
    QVariant value(const QModelIndex& at, bool exact) const;

    const TokenExpertModel& m_model;
    std::function<TraceView()> m_trace;
    int m_rows = 0;
};

}  // namespace expertscope
