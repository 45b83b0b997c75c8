// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/timeline/span_table.h"

#include <bit>

#include "engine/base/record_names.h"
#include "views/base/number_format.h"
#include "views/timeline/timeline_model.h"

namespace expertscope {
namespace {

QString word(std::string_view name) { return QString::fromUtf8(name.data(), static_cast<qsizetype>(name.size())); }

bool isTransfer(SpanKind kind) {
    return kind == SpanKind::TransferDemand || kind == SpanKind::TransferPrefetch || kind == SpanKind::TransferPreload;
}

}  // namespace

void SpanTable::reset() {
    beginResetModel();
    m_rows = 0;
    endResetModel();
    grow();
}

void SpanTable::grow() {
    const int rows = m_model.trace() ? static_cast<int>(m_model.trace()->spans().size()) : 0;
    if (rows <= m_rows) return;
    beginInsertRows({}, m_rows, rows - 1);
    m_rows = rows;
    endInsertRows();
}

int SpanTable::rowCount(const QModelIndex& parent) const { return parent.isValid() ? 0 : m_rows; }
int SpanTable::columnCount(const QModelIndex& parent) const { return parent.isValid() ? 0 : ColumnCount; }

QString SpanTable::rangeText(const SpanRecord& span) const {
    const auto& names = m_model.trace()->rangeNames();
    const bool known = span.name.value() >= 0 && span.name.index() < names.size();
    return known ? QString::fromStdString(names[span.name.index()].text) : word(name(span.kind));
}

Nanoseconds SpanTable::sinceStart(const SpanRecord& span) const {
    return span.start - m_model.trace()->entry().description.start;
}

QVariant SpanTable::exact(const SpanRecord& span, int row, int column) const {
    const auto index = [](int value) { return value < 0 ? QVariant() : QVariant(value); };
    switch (column) {
        case Kind:
            return span.kind == SpanKind::Range ? rangeText(span) : word(name(span.kind));
        case Start:
            return static_cast<qlonglong>(sinceStart(span).count());
        case Duration:
            return static_cast<qlonglong>((span.end - span.start).count());
        case Lane:
            return span.lane.value();
        case Step:
            return index(span.step.value());
        case Layer:
            return index(span.layer.value());
        case Expert:
            return index(span.expert.value());
        case Amount:
            if (span.payload == PayloadType::Real) return std::bit_cast<double>(span.amount);
            return span.amount == 0 ? QVariant() : QVariant(static_cast<qlonglong>(span.amount));
        case Fate: {
            const TransferRecord* transfer = m_model.transferOf(static_cast<std::size_t>(row));
            return transfer ? QVariant(word(name(transfer->fate))) : QVariant();
        }
        default:
            return {};
    }
}

QString SpanTable::text(const SpanRecord& span, int row, int column) const {
    switch (column) {
        case Start:
            return durationText(sinceStart(span));
        case Duration:
            return durationText(span.end - span.start);
        case Amount:
            if (span.amount == 0) return {};
            if (span.kind == SpanKind::Range) return exact(span, row, column).toString();
            return isTransfer(span.kind) ? bytesText(Bytes(span.amount))
                                         : countText(span.amount) + QStringLiteral(" tok");
        default:
            return exact(span, row, column).toString();
    }
}

QVariant SpanTable::data(const QModelIndex& index, int role) const {
    if (!index.isValid() || index.row() >= m_rows) return {};
    const SpanRecord& span = m_model.trace()->spans()[static_cast<std::size_t>(index.row())];
    const bool isText = index.column() == Kind || index.column() == Fate;
    switch (role) {
        case Qt::DisplayRole:
            return text(span, index.row(), index.column());
        case Qt::EditRole:
            return exact(span, index.row(), index.column());
        case Qt::TextAlignmentRole:
            return static_cast<int>((isText ? Qt::AlignLeft : Qt::AlignRight) | Qt::AlignVCenter);
        case Qt::ToolTipRole:
            if (index.column() != Start && index.column() != Duration && index.column() != Amount) return {};
            return exact(span, index.row(), index.column()).toString() +
                   (index.column() == Amount ? QString() : QStringLiteral(" ns"));
        default:
            return {};
    }
}

QVariant SpanTable::headerData(int section, Qt::Orientation orientation, int role) const {
    if (orientation != Qt::Horizontal || role != Qt::DisplayRole)
        return QAbstractTableModel::headerData(section, orientation, role);
    static const QStringList names{"Kind", "Start", "Duration", "Lane", "Step", "Layer", "Expert", "Amount", "Fate"};
    return names.value(section);
}

}  // namespace expertscope
