// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/desktop/run_list_model.h"

#include <QStringList>
#include <algorithm>

#include "views/base/number_format.h"
#include "views/base/run_origin.h"
#include "views/base/session_model.h"

namespace expertscope {
namespace {

QString budgetText(const RunDescription& run) {
    if (run.policy == "resident") return "all";
    if (!madeByEngine(run)) return "–";
    return percentText(run.budget.count(), run.model.totalExpertBytes.count()).replace(".0 %", " %");
}

QString hitText(const RunSummary& summary) { return percentText(summary.hits, summary.accesses); }

}  // namespace

QString stateText(RunState state) {
    switch (state) {
        case RunState::Running:
            return "running";
        case RunState::Complete:
            return "complete";
        case RunState::Interrupted:
            return "interrupted";
        case RunState::Crashed:
            return "crashed";
        case RunState::Failed:
            return "failed";
    }
    return {};
}

QString stateSign(RunState state) {
    switch (state) {
        case RunState::Running:
            return "●";
        case RunState::Complete:
            return "✓";
        case RunState::Interrupted:
            return "■";
        case RunState::Crashed:
        case RunState::Failed:
            return "✗";
    }
    return {};
}

RunListModel::RunListModel(SessionModel& session, QObject* parent) : QAbstractTableModel(parent), m_session(session) {
    connect(&session, &SessionModel::sessionChanged, this, &RunListModel::reload);
    connect(&session, &SessionModel::runsChanged, this, &RunListModel::reload);
    reload();
}

void RunListModel::reload() {
    beginResetModel();
    m_runs = m_session.runs();
    endResetModel();
}

int RunListModel::rowCount(const QModelIndex& parent) const {
    return parent.isValid() ? 0 : static_cast<int>(m_runs.size());
}

int RunListModel::columnCount(const QModelIndex& parent) const { return parent.isValid() ? 0 : kColumns; }

QString RunListModel::text(const RunEntry& run, int column) const {
    switch (column) {
        case Policy:
            return QString::fromStdString(run.description.policy);
        case Budget:
            return budgetText(run.description);
        case Speed:
            if (!madeByEngine(run.description)) return "–";
            if (run.summary) return numberText(run.summary->decodeTokensPerSecond);
            return m_liveRun == run.id ? numberText(m_liveSpeed) : QString("–");
        case HitRate:
            return run.summary ? hitText(*run.summary) : QString("–");
        case State:
            return stateSign(run.state);
        default:
            return {};
    }
}

QString RunListModel::tooltip(const RunEntry& run) const {
    const RunDescription& d = run.description;
    QStringList lines;
    lines << QString("Run %1 of %2: %3, %4, %5")
                 .arg(run.id.value())
                 .arg(QString::fromStdString(d.model.name), QString::fromStdString(d.policy),
                      d.exact ? "exact" : "approximate", stateText(run.state));
    lines << QString("eviction %1, budget %2 (%3 experts)")
                 .arg(QString::fromStdString(d.eviction), bytesText(d.budget))
                 .arg(d.slots);
    if (!d.link.empty()) lines << QString("transfers paced to %1").arg(QString::fromStdString(d.link));
    if (run.summary) {
        lines << QString("%1 generated tokens, %2 tok/s, %3 of accesses were hits")
                     .arg(countText(run.summary->generatedTokens), numberText(run.summary->decodeTokensPerSecond),
                          hitText(*run.summary));
    }
    return lines.join('\n');
}

QVariant RunListModel::data(const QModelIndex& index, int role) const {
    if (!index.isValid() || static_cast<std::size_t>(index.row()) >= m_runs.size()) return {};
    const RunEntry& run = m_runs[static_cast<std::size_t>(index.row())];
    if (role == Qt::DisplayRole) return text(run, index.column());
    if (role == Qt::AccessibleTextRole && index.column() == State) return stateText(run.state);
    if (role == Qt::ToolTipRole) return tooltip(run);
    if (role == Qt::TextAlignmentRole && (index.column() >= Budget && index.column() <= HitRate)) {
        return QVariant(Qt::AlignRight | Qt::AlignVCenter);
    }
    return {};
}

QVariant RunListModel::headerData(int section, Qt::Orientation orientation, int role) const {
    static const QStringList names{"", "Policy", "Budget", "tok/s", "Hits"};
    if (orientation != Qt::Horizontal || section >= names.size()) return {};
    if (role == Qt::DisplayRole) return names.at(section);
    if (role == Qt::TextAlignmentRole && section >= Budget && section <= HitRate) {
        return QVariant(Qt::AlignRight | Qt::AlignVCenter);
    }
    return {};
}

RunId RunListModel::runAt(int row) const { return m_runs.at(static_cast<std::size_t>(row)).id; }

int RunListModel::rowOf(RunId run) const {
    const auto found =
        std::find_if(m_runs.begin(), m_runs.end(), [&](const RunEntry& entry) { return entry.id == run; });
    return found == m_runs.end() ? -1 : static_cast<int>(found - m_runs.begin());
}

void RunListModel::setLiveSpeed(RunId run, double tokensPerSecond) {
    m_liveRun = run;
    m_liveSpeed = tokensPerSecond;
    if (const int row = rowOf(run); row >= 0) emit dataChanged(index(row, Speed), index(row, Speed));
}

void RunListModel::clearLiveSpeed() { m_liveRun.reset(); }

}  // namespace expertscope
