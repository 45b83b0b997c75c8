// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QStringList>
#include <QTimer>
#include <QWidget>

class QFormLayout;
class QLabel;
class QVBoxLayout;

namespace expertscope {

class SelectionModel;
class SessionModel;
struct InspectorText;

/// The Inspector dock: what is selected, its numbers, and buttons that show it in another view.
class InspectorPanel : public QWidget {
    Q_OBJECT
public:
    /// `views`: name and title of each view that can be shown.
    InspectorPanel(SessionModel& session, SelectionModel& selection, const QList<std::pair<QString, QString>>& views,
                   QWidget* parent = nullptr);
    void refresh();
    QSize sizeHint() const override { return {230, 300}; }

signals:
    void showIn(const QString& view);

private:
    void show(const InspectorText& text);

    SessionModel& m_session;
    SelectionModel& m_selection;
    QLabel* m_title;
    QLabel* m_subtitle;
    QWidget* m_facts;
    QFormLayout* m_form;
    QWidget* m_buttons;
    QTimer m_pending;  ///< coalesces updates of a growing run
};

}  // namespace expertscope
