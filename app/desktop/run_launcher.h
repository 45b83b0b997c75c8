// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QElapsedTimer>
#include <QObject>
#include <QProcess>
#include <QTimer>

#include "app/desktop/profile_job.h"
#include "app/desktop/progress_lines.h"

namespace expertscope {

/// How a job ended. What was recorded until then stays in the session in every case.
enum class JobEnd { Complete, Stopped, Failed };

/// Runs one job at a time as a child process, so that whatever happens to the engine does not happen to the window.
class RunLauncher : public QObject {
    Q_OBJECT
public:
    /// `program` is started with the job's arguments and `--progress json`; the desktop gives its own executable.
    explicit RunLauncher(QString program, QObject* parent = nullptr);
    ~RunLauncher() override;

    bool isRunning() const { return m_process.state() != QProcess::NotRunning; }
    const ProfileJob& job() const { return m_job; }
    /// The last event of kind Run or Progress of this job, its run and planned tokens filled in.
    const ProgressEvent& latest() const { return m_latest; }
    /// Starts the job; only when none is running.
    void start(const ProfileJob& job);
    /// Asks the child to end its run (interrupt), and ends it when it has not done so after `kPatienceMs`. Returns at
    /// once.
    void stop();
    /// As stop(), but returns only when the child is gone; for the end of the program.
    void stopAndWait();

    static constexpr int kPatienceMs = 3000;

signals:
    void started();
    void runBegan(const ProgressEvent& event);
    void progressed(const ProgressEvent& event);
    void finished(JobEnd end, const QString& sentence);  ///< the sentence is empty for Complete and Stopped

private:
    void readLines();
    void handleLine(const QByteArray& line);
    void handleEvent(const ProgressEvent& event);
    void handleEnd(int exitCode, QProcess::ExitStatus status);
    void handleStartFailure(QProcess::ProcessError error);
    QString endSentence(int exitCode, QProcess::ExitStatus status) const;

    QString m_program;
    QProcess m_process;
    QTimer m_patience;
    LineSplitter m_splitter;
    ProfileJob m_job;
    ProgressEvent m_latest;
    QString m_errorSentence;
    QString m_lastMessage;  ///< last line that was no event: what a crash leaves behind
    bool m_stopping = false;
};

}  // namespace expertscope
