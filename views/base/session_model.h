// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QObject>
#include <QString>
#include <QTimer>
#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "profiler/analysis/run_trace.h"
#include "storage/session_reader.h"

namespace expertscope {

class BackgroundJob;

/// The session file that the window shows, and its current run; follows the file while it grows.
///
/// A run of more than a moment's reading is read off the UI thread and handed over in parts: its trace begins with what
/// the session says of it, and grows until it is whole, as that of a live run does. A window opens sessions by
/// openInBackground(), which leaves nothing of a file to be read by the UI thread.
class SessionModel : public QObject {
    Q_OBJECT
public:
    explicit SessionModel(QObject* parent = nullptr);
    ~SessionModel() override;

    /// Opens a session and makes its newest run current. Throws Error and keeps the session that was open.
    void open(const QString& file);
    /// Does so off the UI thread, and is answered by opened() or openingFailed(); until then, and where it fails, the
    /// session that was open stays. What is asked for later replaces it, and close() ends it.
    void openInBackground(const QString& file);
    /// Whether a session is being opened off the UI thread.
    bool isOpening() const { return !m_asked.isEmpty(); }
    /// The job that does it, to be shown and cancelled.
    BackgroundJob& opening();
    void close();
    bool isOpen() const { return m_reader != nullptr; }
    QString file() const;
    const std::vector<RunEntry>& runs() const { return m_runs; }
    std::optional<RunId> currentRun() const { return m_current; }
    void setCurrentRun(RunId run);
    /// Trace of the current run, or null.
    const RunTrace* trace() const;
    /// Trace of any run of the session; begins to read it on first use.
    const RunTrace* trace(RunId run);
    /// Such a trace for work off the UI thread, which may read it for as long as it holds it: meanwhile nothing is
    /// appended to it, and it outlives its session. To be let go by whoever ends the work, never kept by the UI thread.
    std::shared_ptr<const RunTrace> lend(RunId run);
    /// Whether records are being read off the UI thread.
    bool reading() const { return !m_toRead.empty(); }
    /// Which part of the run that is being read has been, 0…1; 1 when none is.
    double readShare() const;
    /// Waits until every run that was asked for is whole.
    void finishReading();
    /// How many records of a run are read at once when it is asked for; the rest comes by and by.
    void setReadAtOnce(std::size_t records) { m_readAtOnce = m_readFirst = records; }
    Bytes sizeOnDisk() const;

    /// Looks at the file every `milliseconds` and tells what is new (10 times a second is the default); 0 stops it.
    void follow(int milliseconds = 100);
    /// Looks at the file once, now. While the newest run is current, a run that comes after it becomes current.
    void poll();

signals:
    void opened(const QString& file);  ///< by openInBackground(), after sessionChanged() and currentRunChanged()
    void openingFailed(const QString& file, const QString& sentence);
    void sessionChanged();  ///< another file, or none
    void runsChanged();     ///< a run came, ended, or its summary did
    void currentRunChanged();
    void dataGrown();       ///< a trace has new records, as a rule the current run's
    void readingChanged();  ///< a part of a run was read, or all of it
    void failed(const QString& sentence);

private:
    std::unique_ptr<SessionReader> m_reader;
    std::vector<RunEntry> m_runs;
    std::optional<RunId> m_current;
    struct Held;
    struct Left;
    struct Opened;
    std::map<std::int64_t, std::shared_ptr<Held>> m_traces;
    QTimer m_timer;
    std::int64_t m_dataVersion = -1;
    int m_quietPolls = 0;   ///< polls since the file was last read, while a run is going on
    QString m_lastFailure;  ///< told once, not ten times a second
    std::size_t m_readAtOnce, m_readFirst;
    std::unique_ptr<BackgroundJob> m_opening;      ///< made when a session is opened off the UI thread
    QString m_asked;                               ///< the file that it opens
    std::vector<RunId> m_toRead;                   ///< in this order
    std::int64_t m_recordsRead = 0, m_wanted = 0;  ///< of the first of them
    std::unique_ptr<BackgroundJob> m_reading;      ///< made when a run is too large to be read at once

    struct Part;
    std::shared_ptr<Part> m_waiting;  ///< was read, and waits until its trace is not lent
    QTimer m_takeAgain;

    void take(Opened opened);
    Held& load(RunId run);
    void keep(RunId run, std::shared_ptr<Held> held);
    void bringTheRest(RunId run, const Held& held);
    void readOn();
    void readPart(const std::shared_ptr<Part>& part);
    void take(std::shared_ptr<Part> part);
    void letGo();
    void endReading(RunId run);
    bool hasRun(RunId run) const;
    bool refreshRuns();
};

}  // namespace expertscope
