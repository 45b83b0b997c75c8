// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QStatusBar>

class QLabel;
class QProgressBar;
class QToolButton;

namespace expertscope {

class SessionModel;
struct ProgressEvent;

/// The bottom line: what goes on now, whether the recording is whole, how much there is.
class StatusLine : public QStatusBar {
    Q_OBJECT
public:
    StatusLine(SessionModel& session, QAction* toggleTheme, QWidget* parent = nullptr);
    void showProgress(const ProgressEvent& event);
    /// Nothing runs: `sentence` says how the last job ended, or is empty.
    void showIdle(const QString& sentence);

private:
    void showSession();

    SessionModel& m_session;
    QLabel* m_live;
    QProgressBar* m_progress;
    QLabel* m_capture;
    QLabel* m_amount;
};

/// "● 812 tok/s · run 1 of 3 on-demand · cpp".
QString progressText(const ProgressEvent& event);

}  // namespace expertscope
