// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QAbstractTableModel>
#include <functional>

#include "views/tokens/token_text_model.h"

namespace expertscope {

/// Table twin of the token text: a row a token, its choices in the chosen layer. Reads the model cell by cell.
class TokenTable : public QAbstractTableModel {
    Q_OBJECT
public:
    /// `trace` gives the records as they are now.
    TokenTable(const TokenTextModel& model, std::function<TraceView()> trace, QObject* parent = nullptr);

    void reset();
    /// The run has grown.
    void grow();
    /// Another layer was chosen.
    void changed();

    int rowCount(const QModelIndex& parent = {}) const override;
    int columnCount(const QModelIndex& parent = {}) const override;
    QVariant data(const QModelIndex& index, int role = Qt::DisplayRole) const override;
    QVariant headerData(int section, Qt::Orientation orientation, int role = Qt::DisplayRole) const override;

private:
    QString choices(TokenIndex token, const TraceView& trace) const;

    const TokenTextModel& m_model;
    std::function<TraceView()> m_trace;
    int m_rows = 0;
};

}  // namespace expertscope
