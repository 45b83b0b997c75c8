// SPDX-License-Identifier: GPL-3.0-or-later
// What another tool recorded: asked for or dropped, imported, shown.
#include <QFileDialog>
#include <QFileInfo>

#include "app/desktop/import_dialog.h"
#include "app/desktop/main_window.h"
#include "app/desktop/message_bar.h"
#include "app/desktop/profile_job.h"
#include "app/desktop/session_import.h"
#include "views/base/job_strip.h"

namespace expertscope {

void MainWindow::connectImport() {
    connect(m_import, &SessionImport::imported, this, &MainWindow::imported);
    connect(m_import, &SessionImport::failed, this, &MainWindow::tell);
    connect(m_import, &SessionImport::cancelled, this,
            [this](const QString& sentence) { m_messages->tell(MessageBar::Kind::Note, sentence); });
    connect(&m_import->job(), &BackgroundJob::begun, this, &MainWindow::enableCommands);
    connect(&m_import->job(), &BackgroundJob::ended, this, [this] {
        m_importStrip->forget();
        enableCommands();
    });
}

void MainWindow::takeFile(const QString& file) {
    if (isSessionFile(file)) return openSession(file);
    if (m_import->isRunning()) return tell("An import is going on: wait until it has ended, or cancel it.");
    showImportDialog(file);
}

void MainWindow::askForImport() {
    const QString folder = m_session.isOpen() ? QFileInfo(m_session.file()).absolutePath() : QString();
    const QString file = QFileDialog::getOpenFileName(
        this, "Import what another tool recorded", folder,
        "What can be imported (*.json *.jsonl *.csv *.tsv *.npy *.npz *.pt *.gguf *.dat *.imatrix *.sqlite *.gz);;"
        "All files (*)");
    if (!file.isEmpty()) showImportDialog(file);
}

void MainWindow::showImportDialog(const QString& file) {
    auto* dialog = new ImportDialog(file, this);
    connect(dialog, &ImportDialog::importRequested, this, &MainWindow::startImport);
    dialog->show();
}

void MainWindow::startImport(const ImportRequest& request) {
    if (m_import->isRunning()) return tell("An import is going on: wait until it has ended, or cancel it.");
    m_messages->hide();
    m_import->start(request);
}

void MainWindow::imported(const ImportOutcome& outcome) {
    const QString& session = outcome.request.session;
    if (m_session.file() == session) {
        m_session.poll();
        m_session.setCurrentRun(outcome.run.run);
    } else {
        openSession(session);
    }
    const QString excluded = QString::fromStdString(excludedText(outcome.run));
    if (excluded.isEmpty()) return m_messages->tell(MessageBar::Kind::Note, importedText(outcome));
    m_messages->tell(MessageBar::Kind::Note, excluded + ". " + importedText(outcome), "Import with them, too",
                     [=, this] {
                         ImportRequest withThem = outcome.request;
                         withThem.options.keepWarmUp = true;
                         startImport(withThem);
                     });
}

}  // namespace expertscope
