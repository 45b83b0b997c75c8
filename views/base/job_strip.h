// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QTimer>
#include <QWidget>

class QLabel;
class QProgressBar;
class QPushButton;

namespace expertscope {

class BackgroundJob;

/// A line that shows what a job is doing, how far it is, and a button that ends it; after that, one that begins it
/// anew. Hidden while there is nothing to tell.
class JobStrip : public QWidget {
    Q_OBJECT
public:
    explicit JobStrip(BackgroundJob& job, QWidget* parent = nullptr);
    /// Jobs that end sooner are not shown, so that nothing flickers where most do (0 by default).
    void setPatience(int milliseconds) { m_patience.setInterval(milliseconds); }
    /// Shows nothing of the job that has just been ended.
    void forget();

Q_SIGNALS:
    void againWanted();

private:
    QLabel* m_text;
    QProgressBar* m_bar;
    QPushButton* m_button;
    QTimer m_patience;
};

}  // namespace expertscope
