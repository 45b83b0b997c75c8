// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/desktop/run_launcher.h"

#include <csignal>
#include <cstring>

#include <sys/types.h>

namespace expertscope {
namespace {

constexpr int kInterruptedExit = 130;  // as the command line's exit codes say

}  // namespace

RunLauncher::RunLauncher(QString program, QObject* parent) : QObject(parent), m_program(std::move(program)) {
    m_process.setProcessChannelMode(QProcess::SeparateChannels);
    m_process.setStandardOutputFile(QProcess::nullDevice());
    m_process.setStandardInputFile(QProcess::nullDevice());
    m_patience.setSingleShot(true);
    m_patience.setInterval(kPatienceMs);
    connect(&m_process, &QProcess::readyReadStandardError, this, &RunLauncher::readLines);
    connect(&m_process, &QProcess::finished, this, &RunLauncher::handleEnd);
    connect(&m_process, &QProcess::errorOccurred, this, &RunLauncher::handleStartFailure);
    connect(&m_process, &QProcess::started, this, &RunLauncher::started);
    connect(&m_patience, &QTimer::timeout, this, [this] { m_process.terminate(); });
}

RunLauncher::~RunLauncher() {
    m_process.disconnect(this);
    stopAndWait();
}

void RunLauncher::start(const ProfileJob& job) {
    Q_ASSERT(!isRunning());
    m_job = job;
    m_latest = {};
    m_errorSentence.clear();
    m_lastMessage.clear();
    m_splitter = {};
    m_stopping = false;
    m_process.start(m_program, job.arguments() << "--progress"
                                               << "json");
}

void RunLauncher::stop() {
    if (!isRunning()) return;
    m_stopping = true;
    if (const qint64 pid = m_process.processId(); pid > 0) ::kill(static_cast<pid_t>(pid), SIGINT);
    m_patience.start();
}

void RunLauncher::stopAndWait() {
    if (!isRunning()) return;
    stop();
    if (m_process.waitForFinished(kPatienceMs)) return;
    m_process.terminate();
    if (m_process.waitForFinished(kPatienceMs)) return;
    m_process.kill();
    m_process.waitForFinished();
}

void RunLauncher::readLines() {
    for (const QByteArray& line : m_splitter.feed(m_process.readAllStandardError()))
        handleLine(line);
}

void RunLauncher::handleLine(const QByteArray& line) {
    if (const std::optional<ProgressEvent> event = parseProgressLine(line)) {
        handleEvent(*event);
    } else if (const QString text = QString::fromUtf8(line).trimmed();
               !text.isEmpty() && !text.startsWith("expertscope: Note:")) {
        m_lastMessage = text.left(500);
    }
}

void RunLauncher::handleEvent(const ProgressEvent& event) {
    switch (event.kind) {
        case ProgressEvent::Kind::Run:
            m_latest = event;
            emit runBegan(m_latest);
            break;
        case ProgressEvent::Kind::Progress:
            m_latest.kind = event.kind;
            m_latest.generated = event.generated;
            if (event.planned > 0) m_latest.planned = event.planned;
            m_latest.tokensPerSecond = event.tokensPerSecond;
            m_latest.request = event.request;
            m_latest.label = event.label;
            emit progressed(m_latest);
            break;
        case ProgressEvent::Kind::Done:
            break;  // the session says what came of the run
        case ProgressEvent::Kind::Error:
            m_errorSentence = event.sentence;
            break;
    }
}

void RunLauncher::handleEnd(int exitCode, QProcess::ExitStatus status) {
    m_patience.stop();
    readLines();
    if (const QByteArray rest = m_splitter.rest(); !rest.isEmpty()) handleLine(rest);
    const bool normal = status == QProcess::NormalExit;
    if (m_stopping || (normal && exitCode == kInterruptedExit)) {
        emit finished(JobEnd::Stopped, {});
    } else if (normal && exitCode == 0) {
        emit finished(JobEnd::Complete, {});
    } else {
        emit finished(JobEnd::Failed, endSentence(exitCode, status));
    }
}

void RunLauncher::handleStartFailure(QProcess::ProcessError error) {
    if (error != QProcess::FailedToStart) return;  // the others end in finished()
    emit finished(JobEnd::Failed,
                  QString("The run could not be started: %1 (%2).").arg(m_program, m_process.errorString()));
}

QString RunLauncher::endSentence(int exitCode, QProcess::ExitStatus status) const {
    if (!m_errorSentence.isEmpty()) return m_errorSentence;
    const QString kept = "What was recorded until then is kept in the session.";
    const QString last = m_lastMessage.isEmpty() ? QString() : QString(" Its last words: “%1”").arg(m_lastMessage);
    if (status == QProcess::CrashExit) {
        const char* name = strsignal(exitCode);
        return QString("The run's process was ended by signal %1 (%2). %3%4")
            .arg(exitCode)
            .arg(name != nullptr ? QString::fromLocal8Bit(name) : QString("unknown"), kept, last);
    }
    return QString("The run ended with exit code %1. %2%3").arg(exitCode).arg(kept, last);
}

}  // namespace expertscope
