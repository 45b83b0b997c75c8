// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QObject>
#include <QString>
#include <QStringList>
#include <atomic>
#include <memory>

#include "profiler/interchange/imported_run.h"
#include "views/base/background_job.h"

namespace expertscope {

/// What an import takes: one `expertscope import` command.
struct ImportRequest {
    QString file;
    QString session;          ///< to write; gets another run where it exists
    QString format = "auto";  ///< as --format takes it
    ImportOptions options;

    /// The command as a shell takes it.
    QString commandLine() const;
};

/// What became of one.
struct ImportOutcome {
    ImportRequest request;
    QString format;  ///< that was recognised or named
    ImportedRun run;
};

/// A name for the session that a file of another tool becomes, beside it where its folder can be written, else where
/// sessions go; no such file exists.
QString sessionBeside(const QString& file);

/// Whether a file calls itself a session, by its ending or as SQLite's header tells; else it is another tool's.
bool isSessionFile(const QString& file);

/// "run 1 of trace.esdb: 12,345 spans", with the model where there is routing, and where the importer's notes are.
QString importedText(const ImportOutcome& outcome);

/// Imports one file at a time off the UI thread.
class SessionImport : public QObject {
    Q_OBJECT
public:
    explicit SessionImport(QObject* parent = nullptr);

    bool isRunning() const { return m_job.running(); }
    void start(const ImportRequest& request);
    /// To be shown and cancelled. An import that ends early leaves no new session behind.
    BackgroundJob& job() { return m_job; }

signals:
    void imported(const ImportOutcome& outcome);
    /// The importer's sentence, or what cancelling left.
    void failed(const QString& sentence);
    void cancelled(const QString& sentence);

private:
    void ended(const QString& failure, bool wasCancelled);

    ImportRequest m_request;
    bool m_appends = false;                       ///< to a session that there was
    std::shared_ptr<std::atomic<bool>> m_writes;  ///< it has begun to
    BackgroundJob m_job;
};

}  // namespace expertscope
