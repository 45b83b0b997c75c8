// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QAbstractTableModel>

#include "profiler/analysis/run_trace.h"

namespace expertscope {

class TimelineModel;

/// The timeline as a table: one row a span, read from the trace as it is asked for, so that a million rows cost
/// nothing.
class SpanTable : public QAbstractTableModel {
    Q_OBJECT
public:
    SpanTable(const TimelineModel& model, QObject* parent) : QAbstractTableModel(parent), m_model(model) {}
    /// The model shows another run.
    void reset();
    /// The model's run has grown.
    void grow();

    int rowCount(const QModelIndex& parent = {}) const override;
    int columnCount(const QModelIndex& parent = {}) const override;
    QVariant data(const QModelIndex& index, int role = Qt::DisplayRole) const override;
    QVariant headerData(int section, Qt::Orientation orientation, int role = Qt::DisplayRole) const override;

private:
    enum Column { Kind, Start, Duration, Lane, Step, Layer, Expert, Amount, Fate, ColumnCount };
    Nanoseconds sinceStart(const SpanRecord& span) const;
    QVariant exact(const SpanRecord& span, int row, int column) const;
    QString text(const SpanRecord& span, int row, int column) const;
    QString rangeText(const SpanRecord& span) const;

    const TimelineModel& m_model;
    int m_rows = 0;
};

}  // namespace expertscope
