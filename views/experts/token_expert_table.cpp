// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/experts/token_expert_table.h"

#include <array>
#include <cmath>

#include "engine/base/record_names.h"
#include "views/base/number_format.h"

namespace expertscope {

namespace {

enum Column { kToken, kText, kPhase, kLayer, kChoice, kExpert, kWeight, kOutcome, kNorm, kResident };
constexpr std::array kNames{"token",  "text",   "phase",   "layer",       "choice",
                            "expert", "weight", "outcome", "output norm", "resident"};

QString word(std::string_view name) { return QString::fromUtf8(name.data(), static_cast<qsizetype>(name.size())); }

QVariant real(float value, bool exact) {
    if (!exact) return numberText(static_cast<double>(value));
    return std::isfinite(value) ? QVariant(value) : QVariant();
}

}  // namespace

TokenExpertTable::TokenExpertTable(const TokenExpertModel& model, std::function<TraceView()> trace, QObject* parent)
    : QAbstractTableModel(parent), m_model(model), m_trace(std::move(trace)) {}

void TokenExpertTable::reset() {
    beginResetModel();
    m_rows = 0;
    endResetModel();
    changed();
}

void TokenExpertTable::changed() {
    const int rows = m_model.tokens() * m_model.index().topK();
    if (m_rows > 0) emit dataChanged(index(0, 0), index(m_rows - 1, columnCount() - 1));
    if (rows <= m_rows) return;
    beginInsertRows({}, m_rows, rows - 1);
    m_rows = rows;
    endInsertRows();
}

int TokenExpertTable::rowCount(const QModelIndex& parent) const { return parent.isValid() ? 0 : m_rows; }
int TokenExpertTable::columnCount(const QModelIndex& parent) const {
    return parent.isValid() ? 0 : static_cast<int>(kNames.size());
}

QVariant TokenExpertTable::value(const QModelIndex& at, bool exact) const {
    const TraceView trace = m_trace();
    const TokenIndex token{at.row() / m_model.index().topK()};
    const std::int32_t slot = at.row() % m_model.index().topK();
    const bool known = token.index() < trace.tokens.size();
    switch (at.column()) {
        case kToken:
            return token.value();
        case kText:
            return known ? tokenText(trace.tokens[token.index()]) : QString();
        case kPhase:
            return known ? word(name(trace.tokens[token.index()].phase)) : QString();
        case kLayer:
            return m_model.layer().value();
        case kChoice:
            return slot + 1;
        default:
            break;
    }
    const std::int64_t found = m_model.index().find(m_model.layer(), token, slot);
    if (found < 0) return exact ? QVariant() : QVariant(QStringLiteral("–"));
    const SelectionRecord& selection = trace.selections[static_cast<std::size_t>(found)];
    switch (at.column()) {
        case kExpert:
            return selection.expert.value();
        case kWeight:
            return real(selection.weight, exact);
        case kOutcome:
            return word(name(selection.outcome));
        case kNorm:
            return real(selection.norm, exact);
        default:
            return m_model.wasResident({token, selection.expert}) ? QStringLiteral("yes") : QStringLiteral("no");
    }
}

QVariant TokenExpertTable::data(const QModelIndex& at, int role) const {
    if (!at.isValid() || at.row() >= m_rows) return {};
    const bool isText =
        at.column() == kText || at.column() == kPhase || at.column() == kOutcome || at.column() == kResident;
    if (role == Qt::TextAlignmentRole)
        return static_cast<int>((isText ? Qt::AlignLeft : Qt::AlignRight) | Qt::AlignVCenter);
    if (role == Qt::DisplayRole) return value(at, false);
    return role == Qt::EditRole || role == Qt::ToolTipRole ? value(at, true) : QVariant();
}

QVariant TokenExpertTable::headerData(int section, Qt::Orientation orientation, int role) const {
    if (orientation != Qt::Horizontal) return QAbstractTableModel::headerData(section, orientation, role);
    if (role != Qt::DisplayRole) return {};
    return QString::fromUtf8(kNames[static_cast<std::size_t>(section)]);
}

}  // namespace expertscope
