// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QObject>
#include <QString>
#include <QTimer>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "profiler/analysis/run_trace.h"
#include "storage/session_reader.h"

namespace expertscope {

/// The session file that the window shows, and its current run; follows the file while it grows.
class SessionModel : public QObject {
    Q_OBJECT
public:
    explicit SessionModel(QObject* parent = nullptr);
    ~SessionModel() override;

    /// Opens a session and makes its newest run current. Throws Error and keeps the session that was open.
    void open(const QString& file);
    void close();
    bool isOpen() const { return m_reader != nullptr; }
    QString file() const;
    const std::vector<RunEntry>& runs() const { return m_runs; }
    std::optional<RunId> currentRun() const { return m_current; }
    void setCurrentRun(RunId run);
    /// Trace of the current run, or null.
    const RunTrace* trace() const;
    /// Trace of any run of the session; loads it on first use.
    const RunTrace* trace(RunId run);
    Bytes sizeOnDisk() const;

    /// Looks at the file every `milliseconds` and tells what is new (10 times a second is the default); 0 stops it.
    void follow(int milliseconds = 100);
    /// Looks at the file once, now. While the newest run is current, a run that comes after it becomes current.
    void poll();

signals:
    void sessionChanged();  ///< another file, or none
    void runsChanged();     ///< a run came, ended, or its summary did
    void currentRunChanged();
    void dataGrown();  ///< the current run's trace has new records
    void failed(const QString& sentence);

private:
    std::unique_ptr<SessionReader> m_reader;
    std::vector<RunEntry> m_runs;
    std::optional<RunId> m_current;
    std::map<std::int64_t, std::unique_ptr<RunTrace>> m_traces;
    QTimer m_timer;
    std::int64_t m_dataVersion = -1;
    int m_quietPolls = 0;   ///< polls since the file was last read, while a run is going on
    QString m_lastFailure;  ///< told once, not ten times a second

    RunTrace& load(RunId run);
    bool hasRun(RunId run) const;
    bool refreshRuns();
};

}  // namespace expertscope
