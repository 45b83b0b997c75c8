// SPDX-License-Identifier: GPL-3.0-or-later
#include <QApplication>
#include <QComboBox>
#include <QDockWidget>
#include <QFileDialog>
#include <QMenuBar>
#include <QSettings>
#include <QToolBar>

#include "app/desktop/command_palette.h"
#include "app/desktop/main_window.h"
#include "app/desktop/message_bar.h"
#include "app/desktop/profile_dialog.h"
#include "app/desktop/run_list_model.h"
#include "app/desktop/selection_chips.h"
#include "app/desktop/session_import.h"
#include "app/desktop/shortcut_sheet.h"
#include "app/desktop/tour.h"
#include "app/desktop/view_dock.h"
#include "app/desktop/workspace.h"
#include "engine/base/error.h"
#include "views/base/view.h"

namespace expertscope {
namespace {

constexpr qsizetype kMostRecent = 6;
const QString kModelsKey = "models/recent";
const QString kPreparedKey = "prepared/recent";

void remember(QSettings& settings, const QString& key, const QString& used) {
    QStringList recent = settings.value(key).toStringList();
    recent.removeAll(used);
    recent.prepend(used);
    settings.setValue(key, recent.mid(0, kMostRecent));
}

}  // namespace

void MainWindow::addCommands() {
    addSessionCommands();
    addViewCommands();
    addWindowCommands();
}

void MainWindow::addSessionCommands() {
    m_commands->add("run.profile", "Session", "▶ Profile…", {QKeySequence("Ctrl+R")}, [this] { showProfileDialog(); });
    m_commands->add("run.bundled", "Session", "Profile the bundled model", {}, [this] { profileBundled(); });
    m_commands->add("run.stop", "Session", "■ Stop", {QKeySequence("Ctrl+.")}, [this] { m_launcher.stop(); });
    m_commands->add("session.open", "Session", "Open…", {QKeySequence("Ctrl+O")}, [this] { askForSession(); });
    m_commands->add("session.import", "Session", "Import…", {QKeySequence("Ctrl+I")}, [this] { askForImport(); });
    m_commands->add("session.close", "Session", "Close session", {QKeySequence("Ctrl+W")},
                    [this] { m_session.close(); });
    m_commands->add("window.quit", "Session", "Quit", {QKeySequence("Ctrl+Q")}, [this] { close(); });
}

void MainWindow::addViewCommands() {
    int number = 0;
    for (ViewDock* dock : m_workspace->views()) {
        // 1 to 9, and 0 for the tenth.
        const QList<QKeySequence> keys =
            ++number <= 10 ? QList{QKeySequence(QString::number(number % 10))} : QList<QKeySequence>{};
        const QString name = dock->view().name();
        m_commands->add("view." + name, "Views", dock->view().title(), keys,
                        [this, name] { m_workspace->showView(name); });
    }
    QAction* table =
        m_commands->add("view.table", "Views", "Table instead of the picture, and back", {QKeySequence("T")}, [this] {
            if (m_workspace->currentView() != nullptr) m_workspace->currentView()->toggleTable();
        });
    table->setIconText("Table");  // in the toolbar
    m_commands->add("view.export", "Views", "Export view…", {QKeySequence("Ctrl+E")}, [this] { exportView(); });
    m_commands->add("selection.drop", "Selection", "Drop the newest part of the selection", {QKeySequence("Esc")},
                    [this] { m_selection.removeNewest(); });
    m_commands->add("selection.clear", "Selection", "Clear the selection", {QKeySequence("Shift+Esc")},
                    [this] { m_selection.clear(); });
    m_commands->add("selection.undo", "Selection", "Go back to the selection before", {QKeySequence("Ctrl+Z")},
                    [this] { m_selection.undo(); });
    m_commands->addViewKeys("plot.zoomIn", "In plots", "Zoom in at the cursor", {QKeySequence("W")});
    m_commands->addViewKeys("plot.zoomOut", "In plots", "Zoom out at the cursor", {QKeySequence("S")});
    m_commands->addViewKeys("plot.left", "In plots", "Move left", {QKeySequence("A"), QKeySequence("Left")});
    m_commands->addViewKeys("plot.right", "In plots", "Move right", {QKeySequence("D"), QKeySequence("Right")});
    m_commands->addViewKeys("plot.up", "In plots", "Move up and down", {QKeySequence("Up"), QKeySequence("Down")});
    m_commands->addViewKeys("plot.focus", "In plots", "Go to what is selected; again: show all", {QKeySequence("F")});
    m_commands->addViewKeys("plot.mark", "In plots", "Mark the time at the cursor", {QKeySequence("M")});
    m_commands->addViewKeys("plot.end", "In plots", "Follow the end of a live run", {QKeySequence("End")});
}

void MainWindow::addWindowCommands() {
    for (QDockWidget* panel : m_workspace->panels()) {
        m_commands->add("window." + panel->objectName(), "Window",
                        "Show or hide " + panel->windowTitle().section(':', 0, 0), {},
                        [panel] { panel->setVisible(panel->isHidden()); });
    }
    m_commands->add("window.reset", "Window", "Standard layout", {}, [this] { m_workspace->resetLayout(); });
    m_commands->add("window.theme", "Window", "Dark theme", {QKeySequence("Ctrl+Shift+T")}, [this] {
        setTheme(m_theme == Theme::Mode::Dark ? Theme::Mode::Light : Theme::Mode::Dark);
        // Kept only when chosen: until then each start follows the system.
        m_settings.setValue("theme", m_theme == Theme::Mode::Dark ? "dark" : "light");
    });
    m_commands->add("window.fullScreen", "Window", "Full screen", {QKeySequence("F11")},
                    [this] { setWindowState(windowState() ^ Qt::WindowFullScreen); });
    m_commands->add("window.palette", "Window", "All commands…", {QKeySequence("Ctrl+Shift+P")},
                    [this] { (new CommandPalette(*m_commands, this))->show(); });
    m_commands->add("help.keys", "Help", "Keys", {QKeySequence("?"), QKeySequence("F1")},
                    [this] { (new ShortcutSheet(*m_commands, this))->show(); });
    m_commands->add("help.tour", "Help", "Take the tour", {}, [this] { startTour(); });
    m_commands->add("help.about", "Help", "About ExpertScope", {}, [this] {
        m_messages->tell(MessageBar::Kind::Note,
                         "ExpertScope " + QApplication::applicationVersion() +
                             ": a profiler for Mixture-of-Experts language models. Free software under the GNU General "
                             "Public License, version 3 or later.");
    });
}

void MainWindow::buildMenus() {
    QMenu* menu = nullptr;
    for (const CommandEntry& entry : m_commands->entries()) {
        if (entry.action == nullptr) continue;
        if (menu == nullptr || menu->title() != entry.category) menu = menuBar()->addMenu(entry.category);
        menu->addAction(entry.action);
        addAction(entry.action);  // so that its key works while the menu is closed
    }
}

void MainWindow::buildToolbar() {
    QToolBar* bar = addToolBar("Toolbar");
    bar->setObjectName("mainToolBar");
    bar->setMovable(false);
    bar->setToolButtonStyle(Qt::ToolButtonTextOnly);
    bar->addAction(m_commands->action("run.profile"));
    bar->addAction(m_commands->action("run.stop"));
    bar->addSeparator();
    bar->addAction(m_commands->action("session.open"));
    bar->addAction(m_commands->action("session.import"));
    bar->addSeparator();
    m_runChooser = new QComboBox(bar);
    m_runChooser->setObjectName("runChooser");
    m_runChooser->setAccessibleName("Run that the views show");
    m_runChooser->setToolTip("The run that every view shows");
    m_runChooser->setPlaceholderText("no run");
    m_runChooser->setMinimumContentsLength(26);
    m_runChooser->setFocusPolicy(Qt::StrongFocus);
    connect(m_runChooser, &QComboBox::activated, this,
            [this](int row) { m_session.setCurrentRun(m_runs->runAt(row)); });
    bar->addWidget(m_runChooser);
    m_chips = new SelectionChips(m_selection, bar);
    bar->addWidget(m_chips);
    auto* space = new QWidget(bar);
    space->setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Preferred);
    bar->addWidget(space);
    bar->addAction(m_commands->action("view.table"));
    bar->addAction(m_commands->action("view.export"));
    bar->addAction(m_commands->action("window.theme"));
    fillRunChooser();
}

void MainWindow::enableCommands() {
    const bool open = m_session.isOpen();
    m_commands->action("run.stop")->setEnabled(m_launcher.isRunning());
    m_commands->action("run.profile")->setEnabled(!m_launcher.isRunning());
    m_commands->action("run.bundled")->setEnabled(!m_launcher.isRunning());
    m_commands->action("session.close")->setEnabled(open);
    m_commands->action("session.import")->setEnabled(!m_import->isRunning());
    for (const char* id : {"view.table", "view.export"}) {
        m_commands->action(id)->setEnabled(open && m_workspace->currentView() != nullptr);
    }
    m_commands->action("selection.drop")->setEnabled(!m_selection.order().empty());
    m_commands->action("selection.clear")->setEnabled(!m_selection.order().empty());
}

void MainWindow::askForSession() {
    const QString folder = m_session.isOpen() ? QFileInfo(m_session.file()).absolutePath() : sessionFolder();
    const QString file =
        QFileDialog::getOpenFileName(this, "Open a session", folder, "Sessions (*.esdb);;All files (*)");
    if (!file.isEmpty()) openSession(file);
}

void MainWindow::profileBundled() {
    try {
        startJob(firstRunJob());
    } catch (const Error& error) { tell(QString::fromUtf8(error.what())); }
}

void MainWindow::showProfileDialog() {
    auto* dialog = new ProfileDialog(m_settings.value(kModelsKey).toStringList(),
                                     m_settings.value(kPreparedKey).toStringList(), this);
    connect(dialog, &ProfileDialog::startRequested, this, [this](const ProfileJob& job) {
        if (job.model != "demo") remember(m_settings, kModelsKey, job.model);
        if (!job.prepared.isEmpty()) remember(m_settings, kPreparedKey, job.prepared);
        startJob(job);
    });
    dialog->show();
}

void MainWindow::exportView() {
    ViewDock* dock = m_workspace->currentView();
    if (dock == nullptr) return;
    const QString file =
        QFileDialog::getSaveFileName(this, "Export " + dock->view().title(), dock->view().name() + ".png",
                                     "Picture (*.png *.svg *.pdf);;Table (*.csv)");
    if (file.isEmpty()) return;
    try {
        if (file.endsWith(".csv", Qt::CaseInsensitive)) {
            dock->exportTable(file);
        } else {
            dock->view().exportTo(file, dock->view().size());
        }
        m_messages->tell(MessageBar::Kind::Note, "Written: " + file);
    } catch (const Error& error) { tell(QString::fromUtf8(error.what())); }
}

void MainWindow::startTour() {
    m_tour->start();
    showPage();
    m_tour->start();  // once more: only now do the framed widgets have their places
}

}  // namespace expertscope
