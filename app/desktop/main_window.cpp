// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/desktop/main_window.h"

#include <QApplication>
#include <QCloseEvent>
#include <QComboBox>
#include <QFileInfo>
#include <QMimeData>
#include <QScreen>
#include <QSettings>
#include <QSignalBlocker>
#include <QStackedWidget>
#include <QVBoxLayout>

#include "app/desktop/message_bar.h"
#include "app/desktop/recent_sessions.h"
#include "app/desktop/run_list_model.h"
#include "app/desktop/session_import.h"
#include "app/desktop/start_page.h"
#include "app/desktop/status_line.h"
#include "app/desktop/tour.h"
#include "app/desktop/view_dock.h"
#include "app/desktop/workspace.h"
#include "engine/base/error.h"
#include "views/base/background_job.h"
#include "views/base/job_strip.h"
#include "views/base/view.h"

namespace expertscope {
namespace {

constexpr QSize kDesigned(1440, 900);
constexpr int kWideScreen = 1850;
constexpr int kFollowMs = 80;  // looks at the session 12 times a second
constexpr int kAwaitSessionMs = 100;
constexpr int kOpeningPatienceMs = 300;  // most sessions are open by then
const QString kGeometryKey = "layout/geometry";
const QString kThemeKey = "theme";

/// The size of a window that was never open before: as designed, and larger where two views fit side by side.
QSize firstSize() {
    const QSize screen = QGuiApplication::primaryScreen()->availableSize();
    return screen.width() > kWideScreen ? screen * 0.95 : kDesigned.boundedTo(screen);
}

QString fileOf(const QMimeData& data) {
    for (const QUrl& url : data.urls()) {
        if (url.isLocalFile()) return url.toLocalFile();
    }
    return {};
}

}  // namespace

MainWindow::MainWindow(QSettings& settings, const QString& program, const std::vector<ViewEntry>& views,
                       Theme::Mode theme)
    : m_settings(settings),
      m_launcher(program),
      m_commands(new CommandRegistry(this)),
      m_runs(new RunListModel(m_session, this)),
      m_pages(new QStackedWidget),
      m_start(new StartPage),
      m_messages(new MessageBar),
      m_import(new SessionImport(this)),
      m_theme(theme) {
    setObjectName("mainWindow");
    setAcceptDrops(true);
    resize(firstSize());
    setMinimumSize(960, 600);
    buildCentre(views);
    addCommands();
    buildMenus();
    buildToolbar();
    m_status = new StatusLine(m_session, m_commands->action("window.theme"), this);
    setStatusBar(m_status);
    m_tour = new Tour(this);
    connect(m_tour, &Tour::wantsView, m_workspace, &Workspace::showView);
    connect(m_tour, &Tour::ended, this, &MainWindow::showPage);
    connectSession();
    connectLauncher();
    connectImport();
    restoreGeometry(settings.value(kGeometryKey).toByteArray());
    m_workspace->restoreLayout(settings);
    setTheme(settings.value(kThemeKey).isNull()    ? theme
             : settings.value(kThemeKey) == "dark" ? Theme::Mode::Dark
                                                   : Theme::Mode::Light);
    m_session.follow(kFollowMs);
    showPage();
    showTitle();
    enableCommands();
}

MainWindow::~MainWindow() {
    // The launcher and the models are members: what they tell while they go must not reach a half-gone window.
    m_launcher.disconnect(this);
    m_import->disconnect(this);
    m_import->job().disconnect(this);
    m_session.disconnect(this);
    m_selection.disconnect(this);
    // Views hold references to the models, which go before Qt deletes the window's children.
    delete m_workspace;
}

void MainWindow::buildCentre(const std::vector<ViewEntry>& views) {
    m_workspace = new Workspace(m_session, m_selection, *m_runs, views);
    m_pages->addWidget(m_start);
    m_pages->addWidget(m_workspace);
    for (ViewDock* dock : m_workspace->views()) {
        connect(&dock->view(), &View::commandWanted, this,
                [this](const QString& command) { m_commands->action(command)->trigger(); });
    }
    auto* centre = new QWidget;
    auto* layout = new QVBoxLayout(centre);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->setSpacing(0);
    layout->addWidget(m_messages);
    layout->addWidget(m_importStrip = new JobStrip(m_import->job()));
    layout->addWidget(m_openingStrip = new JobStrip(m_session.opening()));
    layout->addWidget(m_pages, 1);
    setCentralWidget(centre);
    connect(m_start, &StartPage::profileBundled, this, &MainWindow::profileBundled);
    connect(m_start, &StartPage::openSession, this, &MainWindow::askForSession);
    connect(m_start, &StartPage::takeTour, this, &MainWindow::startTour);
    connect(m_start, &StartPage::openRecent, this, &MainWindow::openSession);
}

void MainWindow::connectSession() {
    connect(&m_session, &SessionModel::sessionChanged, this, [this] {
        // What was selected in one session means nothing in another.
        m_selection.clear();
        showPage();
        showTitle();
        enableCommands();
    });
    connect(&m_session, &SessionModel::failed, this, &MainWindow::tell);
    connect(&m_session, &SessionModel::opened, this, &MainWindow::opened);
    connect(&m_session, &SessionModel::openingFailed, this, &MainWindow::notOpened);
    m_openingStrip->setPatience(kOpeningPatienceMs);
    for (JobStrip* strip : {m_importStrip, m_openingStrip})
        strip->setContentsMargins(8, 4, 8, 4);
    connect(&m_session.opening(), &BackgroundJob::ended, this, [this] {
        m_openingStrip->forget();
        showPage();
    });
    connect(m_runs, &QAbstractItemModel::modelReset, this, &MainWindow::fillRunChooser);
    connect(&m_session, &SessionModel::currentRunChanged, this, &MainWindow::fillRunChooser);
    connect(&m_selection, &SelectionModel::changed, this, [this] {
        showTitle();
        enableCommands();
    });
    connect(m_workspace, &Workspace::currentViewChanged, this, &MainWindow::enableCommands);
}

void MainWindow::connectLauncher() {
    connect(&m_launcher, &RunLauncher::started, this, &MainWindow::enableCommands);
    connect(&m_launcher, &RunLauncher::runBegan, this, [this](const ProgressEvent& event) {
        if (m_awaitSession.isActive()) openRecorded();
        m_status->showProgress(event);
    });
    connect(&m_launcher, &RunLauncher::progressed, this, [this](const ProgressEvent& event) {
        m_status->showProgress(event);
        m_runs->setLiveSpeed(RunId(event.runId), event.tokensPerSecond);
    });
    connect(&m_launcher, &RunLauncher::finished, this, &MainWindow::endJob);
    m_awaitSession.setInterval(kAwaitSessionMs);
    connect(&m_awaitSession, &QTimer::timeout, this, &MainWindow::openRecorded);
}

void MainWindow::openSession(const QString& file) {
    m_messages->hide();
    m_session.openInBackground(file);
}

void MainWindow::opened(const QString& file) {
    RecentSessions(m_settings).add(file);
    if (file == m_launcher.job().session) m_awaitSession.stop();
}

void MainWindow::notOpened(const QString& file, const QString& sentence) {
    // Half-made: looked at again in a moment. endJob() opens it for the last time, and then is told what is wrong.
    if (m_awaitSession.isActive() && file == m_launcher.job().session) return;
    if (!QFileInfo(file).isFile() || isSessionFile(file)) return tell(sentence);
    m_messages->tell(MessageBar::Kind::Problem, sentence, "Import it…", [this, file] { showImportDialog(file); });
}

void MainWindow::startJob(const ProfileJob& job) {
    if (m_launcher.isRunning())
        return tell("A run is going on: stop it, or wait until it has ended, then start the next.");
    m_messages->hide();
    if (m_session.file() == job.session) {
        m_session.opening().cancel();
    } else {
        m_session.close();
    }
    m_awaitSession.start();
    m_status->showIdle("Starting the run…");
    m_launcher.start(job);
    showPage();
    m_workspace->showView("experts");
}

/// Opens the running job's session once its file can be read; until then it is being created.
void MainWindow::openRecorded() {
    const QString file = m_launcher.job().session;
    if (m_session.file() == file) {
        m_awaitSession.stop();
        return m_session.poll();
    }
    if (!m_session.isOpening() && QFileInfo::exists(file)) m_session.openInBackground(file);
}

void MainWindow::endJob(JobEnd end, const QString& sentence) {
    const QString file = m_launcher.job().session;
    if (m_session.file() == file) {
        m_session.poll();
    } else if (m_awaitSession.isActive() && QFileInfo::exists(file)) {
        openSession(file);
    }
    m_awaitSession.stop();
    m_runs->clearLiveSpeed();
    if (end == JobEnd::Failed) tell(sentence);
    m_status->showIdle(end == JobEnd::Complete  ? "Run complete."
                       : end == JobEnd::Stopped ? "Stopped; what was recorded is kept."
                                                : "The run failed.");
    enableCommands();
    showPage();
}

bool MainWindow::showsStartPage() const { return m_pages->currentWidget() == m_start; }

void MainWindow::showPage() {
    // While a session is being opened, the page that it is opened from stays.
    const bool work = m_session.isOpen() || m_launcher.isRunning() || m_tour->page() >= 0 ||
                      (m_session.isOpening() && !showsStartPage());
    if (!work) m_start->setRecent(RecentSessions(m_settings).files());
    m_pages->setCurrentWidget(work ? static_cast<QWidget*>(m_workspace) : m_start);
    if (m_chips != nullptr) findChild<QWidget*>("mainToolBar")->setVisible(work);
}

/// The title tells what is selected, so that the task bar does, and whoever drives the window from outside can read it.
void MainWindow::showTitle() {
    QStringList chips;
    for (const SelectionModel::Part part : {SelectionModel::Part::Time, SelectionModel::Part::Tokens,
                                            SelectionModel::Part::Layer, SelectionModel::Part::Expert}) {
        if (const QString text = m_selection.chipText(part); !text.isEmpty()) chips << text;
    }
    QStringList parts;
    if (!chips.isEmpty()) parts << chips.join(" · ");
    if (m_session.isOpen()) parts << QFileInfo(m_session.file()).fileName();
    parts << "ExpertScope";
    setWindowTitle(parts.join(" — "));
}

void MainWindow::fillRunChooser() {
    const QSignalBlocker blocker(m_runChooser);
    m_runChooser->clear();
    for (int row = 0; row < m_runs->rowCount(); ++row) {
        m_runChooser->addItem(QString("run %1 · %2 · %3")
                                  .arg(m_runs->runAt(row).value())
                                  .arg(m_runs->index(row, RunListModel::Policy).data().toString(),
                                       m_runs->index(row, RunListModel::Budget).data().toString()));
    }
    if (const auto current = m_session.currentRun()) m_runChooser->setCurrentIndex(m_runs->rowOf(*current));
    m_runChooser->setEnabled(m_runs->rowCount() > 0);
}

void MainWindow::tell(const QString& sentence) { m_messages->tell(MessageBar::Kind::Problem, sentence); }

void MainWindow::setTheme(Theme::Mode mode) {
    m_theme = mode;
    const Theme& theme = Theme::of(mode);
    QApplication::setPalette(theme.palette());
    m_workspace->setTheme(theme);
    m_commands->action("window.theme")->setText(mode == Theme::Mode::Dark ? "Light theme" : "Dark theme");
}

void MainWindow::dragEnterEvent(QDragEnterEvent* event) {
    if (!fileOf(*event->mimeData()).isEmpty()) event->acceptProposedAction();
}

void MainWindow::dropEvent(QDropEvent* event) {
    const QString file = fileOf(*event->mimeData());
    if (file.isEmpty()) return;
    event->acceptProposedAction();
    takeFile(file);
}

void MainWindow::closeEvent(QCloseEvent* event) {
    m_settings.setValue(kGeometryKey, saveGeometry());
    m_workspace->saveLayout(m_settings);
    if (m_launcher.isRunning()) {
        // The window goes at once; the run gets the time that it needs to end its session.
        hide();
        m_launcher.stopAndWait();
    }
    event->accept();
}

}  // namespace expertscope
