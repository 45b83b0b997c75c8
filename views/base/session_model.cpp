// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/base/session_model.h"

#include <QFileInfo>
#include <algorithm>
#include <atomic>
#include <utility>

#include "engine/base/error.h"
#include "views/base/background_job.h"
#include "views/base/give_back.h"

namespace expertscope {
namespace {

/// A writer that is killed commits nothing, so the file looks unchanged: look at the run's state now and then.
constexpr int kPollsBetweenStateChecks = 10;

/// Reading this many takes some milliseconds, so that the UI thread may do it: runs of that size are there at once.
constexpr std::size_t kReadAtOnce = 16'384;
/// Chunks of a part: 65,536 records, which the trace and the views take in within a frame.
constexpr int kChunksOfAPart = 16;
constexpr std::size_t kRecordsOfAPart = kChunksOfAPart * std::size_t{4096};
/// Between two looks at whether a trace is still lent.
constexpr int kLentMilliseconds = 5;

bool sameStanding(const RunEntry& a, const RunEntry& b) {
    return a.id == b.id && a.state == b.state && a.summary.has_value() == b.summary.has_value();
}

bool isRunning(const RunEntry& run) { return run.state == RunState::Running; }

/// As RecordCounts counts them.
std::int64_t recordsIn(const RunTrace& trace) {
    return static_cast<std::int64_t>(trace.spans().size() + trace.selections().size() + trace.predictions().size() +
                                     trace.residency().size() + trace.transfers().size());
}

}  // namespace

/// Where the reading of one run stands. The job and the UI thread use it by turns.
struct SessionModel::Part {
    std::filesystem::path file;
    RunId run;
    ReadCursor cursor;
    std::optional<SessionReader> reader = {};  ///< the job's own connection
    RecordCounts counts = {};
    RecordBatch batch = {};
};

/// A trace, and how many readers off the UI thread it has: while there are some, it stays as it is.
struct SessionModel::Held {
    Held(const SessionReader& reader, RunId run, std::size_t most) : trace(reader, run, most) {}
    bool isLent() const { return readers.load(std::memory_order_acquire) > 0; }
    void awaitReturn() const {
        for (int count = readers.load(std::memory_order_acquire); count > 0;
             count = readers.load(std::memory_order_acquire))
            readers.wait(count, std::memory_order_acquire);
    }

    RunTrace trace;
    std::atomic<int> readers = 0;
};

/// A session that is shown no more.
struct SessionModel::Left {
    std::unique_ptr<SessionReader> reader;
    std::map<std::int64_t, std::shared_ptr<Held>> traces;  ///< go before the reader that they read from
};

/// A session that was opened and is not shown yet: with a part of its newest run. Made on any thread, taken by the
/// UI's.
struct SessionModel::Opened {
    Opened(const QString& file, std::size_t most)
        : reader(std::make_unique<SessionReader>(std::filesystem::path(file.toStdString()))),
          version(reader->dataVersion()),
          runs(reader->runs()) {
        if (runs.empty()) return;
        newest = std::make_shared<Held>(*reader, runs.back().id, most);
        if (!newest->trace.isWhole()) newest->trace.reserve(reader->recordCounts(runs.back().id));
    }

    std::unique_ptr<SessionReader> reader;
    std::int64_t version;
    std::vector<RunEntry> runs;
    std::shared_ptr<Held> newest;
};

SessionModel::SessionModel(QObject* parent) : QObject(parent), m_readAtOnce(kReadAtOnce), m_readFirst(kRecordsOfAPart) {
    connect(&m_timer, &QTimer::timeout, this, &SessionModel::poll);
    m_takeAgain.setSingleShot(true);
    m_takeAgain.setInterval(kLentMilliseconds);
    connect(&m_takeAgain, &QTimer::timeout, this, [this] { take(m_waiting); });
}

SessionModel::~SessionModel() = default;

void SessionModel::open(const QString& file) {
    Opened opened(file, m_readAtOnce);
    if (m_opening) m_opening->cancel();
    take(std::move(opened));
}

BackgroundJob& SessionModel::opening() {
    if (m_opening) return *m_opening;
    m_opening = std::make_unique<BackgroundJob>();
    connect(m_opening.get(), &BackgroundJob::ended, this, [this](const QString& failure, bool cancelled) {
        if (!cancelled && failure.isEmpty()) return;  // it was taken
        const QString file = std::exchange(m_asked, {});
        if (!cancelled) emit openingFailed(file, failure);
    });
    return *m_opening;
}

void SessionModel::openInBackground(const QString& file) {
    m_asked = file;
    opening().start([this, file, most = m_readFirst](const JobControl& control) -> BackgroundJob::Taker {
        control.at(tr("Opening %1…").arg(QFileInfo(file).fileName()));
        const auto read = std::make_shared<Opened>(file, most);
        return [this, file, read] {
            m_asked.clear();
            take(std::move(*read));
            emit opened(file);
        };
    });
}

/// Shows another session in the place of the one that was open.
void SessionModel::take(Opened opened) {
    letGo();
    m_reader = std::move(opened.reader);
    m_runs = std::move(opened.runs);
    if (opened.newest) {
        m_current = m_runs.back().id;
        keep(*m_current, std::move(opened.newest));
    }
    m_dataVersion = opened.version;
    m_quietPolls = 0;
    m_lastFailure.clear();
    emit sessionChanged();
    emit runsChanged();
    emit currentRunChanged();
}

void SessionModel::close() {
    if (m_opening) m_opening->cancel();
    if (!m_reader) return;
    letGo();
    emit sessionChanged();
    emit runsChanged();
    emit currentRunChanged();
}

/// Leaves the session. A long run's memory takes a tenth of a second to be given back, and closing a file may write its
/// log: both are done off the UI thread.
void SessionModel::letGo() {
    m_toRead.clear();
    if (m_reading) m_reading->cancel();
    m_takeAgain.stop();
    m_waiting.reset();
    m_runs.clear();
    m_current.reset();
    m_dataVersion = -1;
    if (!m_reader) return;
    giveBack(Left{std::move(m_reader), std::exchange(m_traces, {})});
}

QString SessionModel::file() const { return m_reader ? QString::fromStdString(m_reader->file().string()) : QString(); }

void SessionModel::setCurrentRun(RunId run) {
    if (m_current == run || !hasRun(run)) return;
    load(run);
    m_current = run;
    emit currentRunChanged();
}

const RunTrace* SessionModel::trace() const {
    if (!m_current) return nullptr;
    const auto found = m_traces.find(m_current->value());
    return found == m_traces.end() ? nullptr : &found->second->trace;
}

const RunTrace* SessionModel::trace(RunId run) { return hasRun(run) ? &load(run).trace : nullptr; }

std::shared_ptr<const RunTrace> SessionModel::lend(RunId run) {
    if (!hasRun(run)) return nullptr;
    load(run);
    const std::shared_ptr<Held> held = m_traces.at(run.value());
    held->readers.fetch_add(1, std::memory_order_relaxed);
    return {&held->trace, [held](const RunTrace*) {
                held->readers.fetch_sub(1, std::memory_order_release);
                held->readers.notify_all();
            }};
}

Bytes SessionModel::sizeOnDisk() const { return m_reader ? m_reader->sizeOnDisk() : Bytes(0); }

void SessionModel::follow(int milliseconds) {
    if (milliseconds <= 0) {
        m_timer.stop();
    } else {
        m_timer.start(milliseconds);
    }
}

void SessionModel::poll() {
    if (!m_reader) return;
    try {
        const std::int64_t version = m_reader->dataVersion();
        const bool fileChanged = version != m_dataVersion;
        const bool checkState = std::ranges::any_of(m_runs, isRunning) && ++m_quietPolls >= kPollsBetweenStateChecks;
        if (!fileChanged && !checkState) return;
        m_dataVersion = version;
        m_quietPolls = 0;

        const bool followsNewest = m_runs.empty() || m_current == m_runs.back().id;
        const bool runsDiffer = refreshRuns();
        bool currentDiffers = false;
        if (followsNewest && !m_runs.empty() && m_current != m_runs.back().id) {
            load(m_runs.back().id);
            m_current = m_runs.back().id;
            currentDiffers = true;
        }
        bool grown = false;
        for (auto& [id, held] : m_traces) {
            if (held->isLent()) {
                m_dataVersion = -1;  // the next look brings what this one leaves
                continue;
            }
            const bool changed = held->trace.refresh(kReadAtOnce);
            bringTheRest(RunId(id), *held);
            if (m_current && id == m_current->value()) grown = changed;
        }
        m_lastFailure.clear();
        if (runsDiffer) emit runsChanged();
        if (currentDiffers) emit currentRunChanged();
        if (grown) emit dataGrown();
    } catch (const Error& error) {
        const QString sentence = QString::fromUtf8(error.what());
        if (sentence != m_lastFailure) emit failed(sentence);
        m_lastFailure = sentence;
    }
}

SessionModel::Held& SessionModel::load(RunId run) {
    const auto found = m_traces.find(run.value());
    if (found != m_traces.end()) return *found->second;
    keep(run, std::make_shared<Held>(*m_reader, run, m_readAtOnce));
    return *m_traces.at(run.value());
}

void SessionModel::keep(RunId run, std::shared_ptr<Held> held) {
    Held& kept = *m_traces.emplace(run.value(), std::move(held)).first->second;
    bringTheRest(run, kept);
}

/// Has what a trace does not hold yet read off the UI thread.
void SessionModel::bringTheRest(RunId run, const Held& held) {
    if (held.trace.isWhole() || std::ranges::find(m_toRead, run) != m_toRead.end()) return;
    m_toRead.push_back(run);
    if (m_toRead.size() == 1) readOn();
}

/// Begins with the first of the runs that are to be read.
void SessionModel::readOn() {
    if (!m_reading) {
        m_reading = std::make_unique<BackgroundJob>();
        connect(m_reading.get(), &BackgroundJob::ended, this, [this](const QString& failure, bool cancelled) {
            if (cancelled || failure.isEmpty() || m_toRead.empty()) return;
            // What there is stays, as it does where a follower fails.
            emit failed(failure);
            endReading(m_toRead.front());
        });
    }
    const RunId run = m_toRead.front();
    const RunTrace& trace = m_traces.at(run.value())->trace;
    m_recordsRead = recordsIn(trace);
    m_wanted = 0;
    readPart(std::make_shared<Part>(Part{m_reader->file(), run, trace.cursor()}));
}

void SessionModel::readPart(const std::shared_ptr<Part>& part) {
    m_reading->start([this, part](const JobControl&) -> BackgroundJob::Taker {
        if (!part->reader) {
            part->reader.emplace(part->file);
            part->counts = part->reader->recordCounts(part->run);
        }
        part->batch = part->reader->readNew(part->run, part->cursor, kChunksOfAPart);
        return [this, part] { take(part); };
    });
}

void SessionModel::take(std::shared_ptr<Part> part) {
    Held& held = *m_traces.at(part->run.value());
    if (held.isLent()) {
        m_waiting = std::move(part);
        m_takeAgain.start();
        return;
    }
    m_takeAgain.stop();
    m_waiting.reset();
    RunTrace& trace = held.trace;
    if (m_wanted == 0) {
        m_wanted = std::max<std::int64_t>(1, part->counts.all());
        trace.reserve(part->counts);
    }
    RecordBatch batch = std::exchange(part->batch, {});
    if (batch.empty()) return endReading(part->run);
    trace.append(std::move(batch), part->cursor);
    m_recordsRead = recordsIn(trace);
    readPart(part);  // the next one, while the views take in this one
    emit dataGrown();
    emit readingChanged();
}

void SessionModel::endReading(RunId run) {
    Held& held = *m_traces.at(run.value());
    held.awaitReturn();  // matters only where reading failed: take() has waited
    held.trace.append({}, {});
    std::erase(m_toRead, run);
    m_dataVersion = -1;  // the next look at the file brings what was recorded meanwhile
    if (!m_toRead.empty()) readOn();
    emit dataGrown();
    emit readingChanged();
}

double SessionModel::readShare() const {
    if (!reading() || m_wanted == 0) return reading() ? 0 : 1;
    return std::min(1.0, static_cast<double>(m_recordsRead) / static_cast<double>(m_wanted));
}

void SessionModel::finishReading() {
    while (reading()) {
        m_reading->wait();
        if (!m_waiting) continue;
        m_traces.at(m_waiting->run.value())->awaitReturn();
        take(m_waiting);
    }
}

bool SessionModel::hasRun(RunId run) const { return std::ranges::find(m_runs, run, &RunEntry::id) != m_runs.end(); }

bool SessionModel::refreshRuns() {
    std::vector<RunEntry> runs = m_reader->runs();
    const bool differ = !std::ranges::equal(runs, m_runs, sameStanding);
    m_runs = std::move(runs);
    return differ;
}

}  // namespace expertscope
