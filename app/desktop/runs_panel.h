// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QWidget>

class QLabel;
class QTableView;

namespace expertscope {

class RunListModel;
class SessionModel;

/// The Runs dock: which session is open and its runs; the chosen row is the current run of every view.
class RunsPanel : public QWidget {
    Q_OBJECT
public:
    RunsPanel(SessionModel& session, RunListModel& runs, QWidget* parent = nullptr);
    QSize sizeHint() const override { return {270, 300}; }

private:
    void showSession();
    void markCurrent();

    SessionModel& m_session;
    RunListModel& m_runs;
    QLabel* m_file;
    QTableView* m_table;
};

}  // namespace expertscope
