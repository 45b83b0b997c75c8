// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QMainWindow>
#include <QTimer>
#include <vector>

#include "app/desktop/command_registry.h"
#include "app/desktop/run_launcher.h"
#include "app/view_catalogue.h"
#include "views/base/selection.h"
#include "views/base/session_model.h"
#include "views/base/theme.h"

class QComboBox;
class QSettings;
class QStackedWidget;

namespace expertscope {

class JobStrip;
class MessageBar;
struct ImportOutcome;
struct ImportRequest;
class RunListModel;
class SelectionChips;
class SessionImport;
class StartPage;
class StatusLine;
class Tour;
class Workspace;

/// The window: joins sessions, runs, views and commands. Everything that it can do is a command of its registry.
class MainWindow : public QMainWindow {
    Q_OBJECT
public:
    /// `program` is what a run is started with (this executable). `settings` must outlive the window.
    MainWindow(QSettings& settings, const QString& program, const std::vector<ViewEntry>& views, Theme::Mode theme);
    ~MainWindow() override;

    /// Opens a session file, which is read off the UI thread; a failure is told in the message bar and changes nothing
    /// else.
    void openSession(const QString& file);
    /// Opens a session, or offers to import another tool's file.
    void takeFile(const QString& file);
    /// Imports another tool's file off the UI thread, and shows the session that it became.
    void startImport(const ImportRequest& request);
    /// Starts a job and follows its session as soon as there is one.
    void startJob(const ProfileJob& job);

    const CommandRegistry& commands() const { return *m_commands; }
    SessionModel& session() { return m_session; }
    SelectionModel& selection() { return m_selection; }
    Workspace& workspace() { return *m_workspace; }
    MessageBar& messages() { return *m_messages; }
    RunLauncher& launcher() { return m_launcher; }
    SessionImport& import() { return *m_import; }
    Theme::Mode theme() const { return m_theme; }
    bool showsStartPage() const;

protected:
    void dragEnterEvent(QDragEnterEvent* event) override;
    void dropEvent(QDropEvent* event) override;
    void closeEvent(QCloseEvent* event) override;

private:
    // main_window.cpp: what the window does
    void buildCentre(const std::vector<ViewEntry>& views);
    void connectSession();
    void connectLauncher();
    void showPage();
    void showTitle();
    void fillRunChooser();
    void tell(const QString& sentence);
    void opened(const QString& file);
    void notOpened(const QString& file, const QString& sentence);
    void openRecorded();
    void endJob(JobEnd end, const QString& sentence);
    void setTheme(Theme::Mode mode);
    // window_import.cpp
    void connectImport();
    void askForImport();
    void showImportDialog(const QString& file);
    void imported(const ImportOutcome& outcome);
    // window_commands.cpp: how it is asked to
    void addCommands();
    void addSessionCommands();
    void addViewCommands();
    void addWindowCommands();
    void buildMenus();
    void buildToolbar();
    void enableCommands();
    void askForSession();
    void profileBundled();
    void showProfileDialog();
    void exportView();
    void startTour();

    QSettings& m_settings;
    SessionModel m_session;
    SelectionModel m_selection;
    RunLauncher m_launcher;
    CommandRegistry* m_commands;
    RunListModel* m_runs;
    QStackedWidget* m_pages;
    StartPage* m_start;
    Workspace* m_workspace = nullptr;
    MessageBar* m_messages;
    SessionImport* m_import;
    JobStrip* m_importStrip = nullptr;
    JobStrip* m_openingStrip = nullptr;  ///< shows that a session is being opened, where that takes long
    StatusLine* m_status = nullptr;
    SelectionChips* m_chips = nullptr;
    QComboBox* m_runChooser = nullptr;
    Tour* m_tour = nullptr;
    QTimer m_awaitSession;  ///< looks for the session of a job that has just started
    Theme::Mode m_theme;
};

}  // namespace expertscope
