// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QStringList>
#include <QWidget>

class QListWidget;

namespace expertscope {

/// What the window shows while no session is open: three things to do, and the sessions that were open before.
class StartPage : public QWidget {
    Q_OBJECT
public:
    explicit StartPage(QWidget* parent = nullptr);
    void setRecent(const QStringList& files);

signals:
    void profileBundled();
    void openSession();
    void takeTour();
    void openRecent(const QString& file);

private:
    QWidget* m_recentBox;
    QListWidget* m_recent;
};

}  // namespace expertscope
