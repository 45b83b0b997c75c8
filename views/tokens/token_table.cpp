// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/tokens/token_table.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "views/base/number_format.h"

namespace expertscope {

namespace {

enum Column { kToken, kRequest, kPosition, kPhase, kText, kLogProbability, kTopExpert, kChoices };
constexpr std::array kNames{"token", "request",         "position",   "phase",
                            "text",  "log-probability", "top expert", "choices"};

}  // namespace

TokenTable::TokenTable(const TokenTextModel& model, std::function<TraceView()> trace, QObject* parent)
    : QAbstractTableModel(parent), m_model(model), m_trace(std::move(trace)) {}

void TokenTable::reset() {
    beginResetModel();
    m_rows = 0;
    endResetModel();
}

void TokenTable::grow() {
    const int rows = static_cast<int>(m_trace().tokens.size());
    if (rows > m_rows) {
        beginInsertRows({}, m_rows, rows - 1);
        m_rows = rows;
        endInsertRows();
    }
    changed();
}

void TokenTable::changed() {
    if (m_rows > 0) emit dataChanged(index(0, kTopExpert), index(m_rows - 1, kChoices));
}

int TokenTable::rowCount(const QModelIndex& parent) const { return parent.isValid() ? 0 : m_rows; }
int TokenTable::columnCount(const QModelIndex& parent) const {
    return parent.isValid() ? 0 : static_cast<int>(kNames.size());
}

QString TokenTable::choices(TokenIndex token, const TraceView& trace) const {
    QStringList parts;
    for (std::int32_t slot = 0; slot < m_model.index().topK(); ++slot) {
        const std::int64_t at = m_model.index().find(m_model.layer(), token, slot);
        if (at < 0) continue;
        const SelectionRecord& s = trace.selections[static_cast<std::size_t>(at)];
        const char* mark = s.outcome == Outcome::Hit ? "●" : s.outcome == Outcome::InFlight ? "◐" : "○";
        parts += QStringLiteral("%1 (%2 %3)")
                     .arg(QString::number(s.expert.value()), numberText(static_cast<double>(s.weight)),
                          QString::fromUtf8(mark));
    }
    return parts.join(QStringLiteral(", "));
}

QVariant TokenTable::data(const QModelIndex& at, int role) const {
    const TraceView trace = m_trace();
    if (!at.isValid() || static_cast<std::size_t>(at.row()) >= trace.tokens.size()) return {};
    const bool text = at.column() == kPhase || at.column() == kText || at.column() == kChoices;
    if (role == Qt::TextAlignmentRole)
        return static_cast<int>((text ? Qt::AlignLeft : Qt::AlignRight) | Qt::AlignVCenter);
    const bool exact = role == Qt::EditRole || role == Qt::ToolTipRole;
    if (role != Qt::DisplayRole && !exact) return {};
    const TokenRecord& token = trace.tokens[static_cast<std::size_t>(at.row())];
    switch (at.column()) {
        case kToken:
            return token.token.value();
        case kRequest:
            return token.request.value();
        case kPosition:
            return token.position;
        case kPhase:
            return token.phase == Phase::Prefill ? tr("prompt") : tr("generated");
        case kText:
            return displayTexts(trace.tokens.subspan(static_cast<std::size_t>(at.row()), 1)).front().remove('\n');
        case kLogProbability: {
            const auto value = static_cast<double>(token.logProbability);
            if (!std::isfinite(value)) return exact ? QVariant() : QVariant(QStringLiteral("–"));
            return exact ? QVariant(value) : QVariant(numberText(value));
        }
        case kTopExpert: {
            const auto expert = m_model.topExpert(token.token, trace);
            if (!expert) return exact ? QVariant() : QVariant(QStringLiteral("–"));
            return expert->value();
        }
        case kChoices:
            return choices(token.token, trace);
        default:
            return {};
    }
}

QVariant TokenTable::headerData(int section, Qt::Orientation orientation, int role) const {
    if (orientation != Qt::Horizontal || role != Qt::DisplayRole)
        return QAbstractTableModel::headerData(section, orientation, role);
    return QString::fromUtf8(kNames[static_cast<std::size_t>(section)]);
}

}  // namespace expertscope
