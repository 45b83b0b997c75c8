// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/experts/expert_table.h"

#include <array>
#include <cmath>

#include "views/base/number_format.h"

namespace expertscope {

namespace {

// Columns: layer, expert, the measures, then the counts behind them.
constexpr int kFirstMeasure = 2;
constexpr int kFirstCount = kFirstMeasure + static_cast<int>(kExpertMeasures.size());
struct Count {
    const char* name;
    std::int64_t ExpertUsage::*member;
};
constexpr std::array kCounts{Count{"accesses", &ExpertUsage::accesses}, Count{"hits", &ExpertUsage::hits},
                             Count{"in flight", &ExpertUsage::inFlight}, Count{"misses", &ExpertUsage::misses},
                             Count{"loads", &ExpertUsage::loads}};

ExpertMeasure measureOf(int column) { return kExpertMeasures[static_cast<std::size_t>(column - kFirstMeasure)]; }

}  // namespace

ExpertTable::ExpertTable(const ExpertMapModel& model, QObject* parent) : QAbstractTableModel(parent), m_model(model) {}

void ExpertTable::reset() {
    beginResetModel();
    m_rows = m_model.layers() * m_model.experts();
    endResetModel();
}

void ExpertTable::changed() {
    if (m_rows > 0) emit dataChanged(index(0, 0), index(m_rows - 1, columnCount() - 1));
}

int ExpertTable::rowCount(const QModelIndex& parent) const { return parent.isValid() ? 0 : m_rows; }
int ExpertTable::columnCount(const QModelIndex& parent) const {
    return parent.isValid() ? 0 : kFirstCount + static_cast<int>(kCounts.size());
}

QVariant ExpertTable::data(const QModelIndex& at, int role) const {
    if (!at.isValid()) return {};
    if (role == Qt::TextAlignmentRole) return static_cast<int>(Qt::AlignRight | Qt::AlignVCenter);
    const bool exact = role == Qt::EditRole || role == Qt::ToolTipRole;
    if (role != Qt::DisplayRole && !exact) return {};
    const ExpertMapModel::Cell cell{LayerIndex{at.row() / m_model.experts()}, ExpertId{at.row() % m_model.experts()}};
    if (at.column() == 0) return cell.layer.value();
    if (at.column() == 1) return cell.expert.value();
    if (at.column() >= kFirstCount) {
        const std::int64_t count = m_model.usage().at(cell.layer, cell.expert).*
                                   kCounts[static_cast<std::size_t>(at.column() - kFirstCount)].member;
        return exact ? QVariant(static_cast<qlonglong>(count)) : QVariant(countText(count));
    }
    const double value = m_model.value(measureOf(at.column()), cell);
    if (!exact) return measureText(measureOf(at.column()), value);
    return std::isfinite(value) ? QVariant(value) : QVariant();
}

QVariant ExpertTable::headerData(int section, Qt::Orientation orientation, int role) const {
    if (orientation != Qt::Horizontal) return QAbstractTableModel::headerData(section, orientation, role);
    const bool measure = section >= kFirstMeasure && section < kFirstCount;
    if (role == Qt::ToolTipRole && measure) return measureDefinition(measureOf(section));
    if (role != Qt::DisplayRole) return {};
    if (section == 0) return QStringLiteral("layer");
    if (section == 1) return QStringLiteral("expert");
    if (measure) return measureName(measureOf(section));
    return QString::fromUtf8(kCounts[static_cast<std::size_t>(section - kFirstCount)].name);
}

}  // namespace expertscope
