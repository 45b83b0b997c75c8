// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/base/session_model.h"

#include <algorithm>

#include "engine/base/error.h"

namespace expertscope {
namespace {

/// A writer that is killed commits nothing, so the file looks unchanged: look at the run's state now and then.
constexpr int kPollsBetweenStateChecks = 10;

bool sameStanding(const RunEntry& a, const RunEntry& b) {
    return a.id == b.id && a.state == b.state && a.summary.has_value() == b.summary.has_value();
}

bool isRunning(const RunEntry& run) { return run.state == RunState::Running; }

}  // namespace

SessionModel::SessionModel(QObject* parent) : QObject(parent) {
    connect(&m_timer, &QTimer::timeout, this, &SessionModel::poll);
}

SessionModel::~SessionModel() = default;

void SessionModel::open(const QString& file) {
    auto reader = std::make_unique<SessionReader>(std::filesystem::path(file.toStdString()));
    const std::int64_t version = reader->dataVersion();
    std::vector<RunEntry> runs = reader->runs();
    std::optional<RunId> newest;
    std::unique_ptr<RunTrace> trace;
    if (!runs.empty()) {
        newest = runs.back().id;
        trace = std::make_unique<RunTrace>(*reader, *newest);
        while (trace->refresh()) {}
    }
    m_traces.clear();  // before the reader that they read from
    m_reader = std::move(reader);
    m_runs = std::move(runs);
    m_current = newest;
    if (trace) m_traces.emplace(newest->value(), std::move(trace));
    m_dataVersion = version;
    m_quietPolls = 0;
    m_lastFailure.clear();
    emit sessionChanged();
    emit runsChanged();
    emit currentRunChanged();
}

void SessionModel::close() {
    if (!m_reader) return;
    m_traces.clear();
    m_runs.clear();
    m_current.reset();
    m_reader.reset();
    m_dataVersion = -1;
    emit sessionChanged();
    emit runsChanged();
    emit currentRunChanged();
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
    return found == m_traces.end() ? nullptr : found->second.get();
}

const RunTrace* SessionModel::trace(RunId run) { return hasRun(run) ? &load(run) : nullptr; }

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
        for (auto& [id, trace] : m_traces) {
            bool changed = false;
            while (trace->refresh())
                changed = true;
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

RunTrace& SessionModel::load(RunId run) {
    auto& trace = m_traces[run.value()];
    if (!trace) {
        auto loaded = std::make_unique<RunTrace>(*m_reader, run);
        while (loaded->refresh()) {}
        trace = std::move(loaded);
    }
    return *trace;
}

bool SessionModel::hasRun(RunId run) const { return std::ranges::find(m_runs, run, &RunEntry::id) != m_runs.end(); }

bool SessionModel::refreshRuns() {
    std::vector<RunEntry> runs = m_reader->runs();
    const bool differ = !std::ranges::equal(runs, m_runs, sameStanding);
    m_runs = std::move(runs);
    return differ;
}

}  // namespace expertscope
