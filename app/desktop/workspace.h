// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QMainWindow>
#include <QStringList>
#include <vector>

#include "app/view_catalogue.h"

class QSettings;

namespace expertscope {

class InspectorPanel;
class RunListModel;
class Theme;
class TokenStrip;
class ViewDock;

/// Everything around an open session: the Runs and Inspector docks, the token strip, and the views as docks of an area
/// of their own, so that they tile among themselves.
class Workspace : public QMainWindow {
    Q_OBJECT
public:
    /// Changes when docks are added or renamed, so that an older layout is not restored wrongly.
    static constexpr int kLayoutVersion = 2;

    Workspace(SessionModel& session, SelectionModel& selection, RunListModel& runs, const std::vector<ViewEntry>& views,
              QWidget* parent = nullptr);
    ~Workspace() override;

    const std::vector<ViewDock*>& views() const { return m_views; }
    /// Brings a view to the front and gives it the keyboard; an unknown name does nothing.
    void showView(const QString& name);
    /// The view that was shown or clicked last; null when there is none.
    ViewDock* currentView() const { return m_current; }
    TokenStrip& tokenStrip() const { return *m_strip; }
    /// Docks that can be hidden: Runs, Inspector, Token strip.
    const std::vector<QDockWidget*>& panels() const { return m_panels; }
    void setTheme(const Theme& theme);
    void resetLayout();
    void saveLayout(QSettings& settings) const;
    /// Restores what saveLayout() saved; without it, or from another version, the standard layout.
    void restoreLayout(QSettings& settings);

signals:
    void currentViewChanged();

private:
    QDockWidget* addPanel(const QString& name, const QString& title, QWidget* content, Qt::DockWidgetArea area);
    /// Tabs them all, or all but the timeline, which then stands at the right.
    void placeViews(bool twoSideBySide);
    void setCurrent(ViewDock* dock);

    QMainWindow* m_viewArea;
    std::vector<ViewDock*> m_views;
    std::vector<QDockWidget*> m_panels;
    InspectorPanel* m_inspector;
    TokenStrip* m_strip;
    ViewDock* m_current = nullptr;
};

}  // namespace expertscope
