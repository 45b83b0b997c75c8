// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QAbstractTableModel>
#include <vector>

#include "storage/session_reader.h"

namespace expertscope {

class SessionModel;

/// The session's runs as rows: policy, budget, speed, hit rate, state. Feeds the Runs dock and the run chooser.
class RunListModel : public QAbstractTableModel {
    Q_OBJECT
public:
    enum Column { State, Policy, Budget, Speed, HitRate, kColumns };

    explicit RunListModel(SessionModel& session, QObject* parent = nullptr);
    int rowCount(const QModelIndex& parent = {}) const override;
    int columnCount(const QModelIndex& parent = {}) const override;
    QVariant data(const QModelIndex& index, int role) const override;
    QVariant headerData(int section, Qt::Orientation orientation, int role) const override;
    RunId runAt(int row) const;
    int rowOf(RunId run) const;  ///< −1 when there is none
    /// The speed a run that is going on has now; told by its process, as the session has no summary of it yet.
    void setLiveSpeed(RunId run, double tokensPerSecond);
    void clearLiveSpeed();

private:
    void reload();
    QString text(const RunEntry& run, int column) const;
    QString tooltip(const RunEntry& run) const;

    SessionModel& m_session;
    std::vector<RunEntry> m_runs;
    std::optional<RunId> m_liveRun;
    double m_liveSpeed = 0;
};

/// "running", "complete", "interrupted", "crashed", "failed".
QString stateText(RunState state);
/// The state as one sign, so that it fits a narrow column: ● ✓ ■ ✗.
QString stateSign(RunState state);

}  // namespace expertscope
