// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/desktop/workspace.h"

#include <QApplication>
#include <QDockWidget>
#include <QSettings>

#include "app/desktop/inspector_panel.h"
#include "app/desktop/runs_panel.h"
#include "app/desktop/token_strip.h"
#include "app/desktop/view_dock.h"
#include "views/base/theme.h"
#include "views/base/view.h"

namespace expertscope {
namespace {

constexpr int kWideEnoughForTwo = 1700;  // pixels: below, two views side by side are both too narrow to read
const QString kOuterKey = "layout/workspace";
const QString kInnerKey = "layout/views";

QMainWindow* makeViewArea() {
    // Made without a parent: with one it would stay a window of its own, as QMainWindows are.
    auto* area = new QMainWindow;
    area->setObjectName("viewArea");
    area->setDockOptions(QMainWindow::AllowTabbedDocks | QMainWindow::AllowNestedDocks | QMainWindow::AnimatedDocks);
    area->setTabPosition(Qt::AllDockWidgetAreas, QTabWidget::North);
    return area;
}

QList<std::pair<QString, QString>> namesAndTitles(const std::vector<ViewEntry>& views) {
    QList<std::pair<QString, QString>> names;
    for (const ViewEntry& view : views)
        names.append({view.name, view.title});
    return names;
}

}  // namespace

Workspace::Workspace(SessionModel& session, SelectionModel& selection, RunListModel& runs,
                     const std::vector<ViewEntry>& views, QWidget* parent)
    : QMainWindow(parent, Qt::Widget),
      m_viewArea(makeViewArea()),
      m_inspector(new InspectorPanel(session, selection, namesAndTitles(views))),
      m_strip(new TokenStrip(session, selection)) {
    setObjectName("workspace");
    setCentralWidget(m_viewArea);
    for (const ViewEntry& entry : views) {
        auto* dock = new ViewDock(entry.make(session, selection, nullptr), m_viewArea);
        connect(dock, &QDockWidget::visibilityChanged, this, [this, dock](bool visible) {
            if (visible) setCurrent(dock);
        });
        m_viewArea->addDockWidget(Qt::LeftDockWidgetArea, dock);
        m_views.push_back(dock);
    }
    auto* runsPanel = new RunsPanel(session, runs);
    runsPanel->setMinimumWidth(250);
    m_inspector->setMinimumWidth(225);
    addPanel("panel_runs", "Runs", runsPanel, Qt::LeftDockWidgetArea);
    addPanel("panel_inspector", "Inspector", m_inspector, Qt::RightDockWidgetArea);
    addPanel("panel_tokens", "Token strip: milliseconds of each token, computing below, waiting above", m_strip,
             Qt::BottomDockWidgetArea);
    connect(m_inspector, &InspectorPanel::showIn, this, &Workspace::showView);
    connect(qApp, &QApplication::focusChanged, this, [this](QWidget*, QWidget* now) {
        for (QWidget* widget = now; widget != nullptr; widget = widget->parentWidget()) {
            if (auto* dock = qobject_cast<ViewDock*>(widget); dock != nullptr && dock->parent() != nullptr)
                setCurrent(dock);
        }
    });
    resetLayout();
}

Workspace::~Workspace() {
    // Docks raise each other while they go, and must not tell it to what is half gone.
    for (ViewDock* dock : m_views)
        dock->disconnect(this);
}

QDockWidget* Workspace::addPanel(const QString& name, const QString& title, QWidget* content, Qt::DockWidgetArea area) {
    auto* dock = new QDockWidget(title, this);
    dock->setObjectName(name);
    dock->setWidget(content);
    addDockWidget(area, dock);
    m_panels.push_back(dock);
    return dock;
}

void Workspace::setCurrent(ViewDock* dock) {
    if (m_current == dock) return;
    m_current = dock;
    emit currentViewChanged();
}

void Workspace::showView(const QString& name) {
    for (ViewDock* dock : m_views) {
        if (dock->view().name() != name) continue;
        dock->show();
        dock->raise();
        dock->view().setFocus(Qt::ShortcutFocusReason);
        setCurrent(dock);
    }
}

void Workspace::setTheme(const Theme& theme) {
    for (ViewDock* dock : m_views)
        dock->view().setTheme(theme);
    m_strip->setTheme(theme);
}

void Workspace::resetLayout() {
    const Qt::DockWidgetArea areas[] = {Qt::LeftDockWidgetArea, Qt::RightDockWidgetArea, Qt::BottomDockWidgetArea};
    for (std::size_t i = 0; i < m_panels.size(); ++i) {
        m_panels[i]->setFloating(false);
        addDockWidget(areas[i], m_panels[i]);
        m_panels[i]->show();
    }
    placeViews(window()->width() >= kWideEnoughForTwo);
    resizeDocks({m_panels[0], m_panels[1]}, {270, 230}, Qt::Horizontal);
    resizeDocks({m_panels[2]}, {120}, Qt::Vertical);
}

void Workspace::placeViews(bool twoSideBySide) {
    ViewDock* first = nullptr;
    for (ViewDock* dock : m_views) {
        dock->setFloating(false);
        const bool aside = twoSideBySide && dock->view().name() == "timeline";
        if (first == nullptr) {
            m_viewArea->addDockWidget(Qt::LeftDockWidgetArea, dock);
            first = dock;
        } else if (aside) {
            m_viewArea->addDockWidget(Qt::RightDockWidgetArea, dock);
            m_viewArea->resizeDocks({first, dock}, {1, 1}, Qt::Horizontal);
        } else {
            m_viewArea->tabifyDockWidget(first, dock);
        }
        dock->show();
    }
    if (first == nullptr) return;
    first->raise();
    setCurrent(first);
}

void Workspace::saveLayout(QSettings& settings) const {
    settings.setValue(kOuterKey, saveState(kLayoutVersion));
    settings.setValue(kInnerKey, m_viewArea->saveState(kLayoutVersion));
}

void Workspace::restoreLayout(QSettings& settings) {
    const bool outer = restoreState(settings.value(kOuterKey).toByteArray(), kLayoutVersion);
    const bool inner = m_viewArea->restoreState(settings.value(kInnerKey).toByteArray(), kLayoutVersion);
    if (!outer || !inner) resetLayout();
}

}  // namespace expertscope
