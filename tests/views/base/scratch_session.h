// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QString>
#include <QTemporaryDir>
#include <initializer_list>
#include <memory>
#include <vector>

#include "profiler/analysis/run_trace.h"
#include "storage/session_reader.h"
#include "storage/session_writer.h"

namespace expertscope {

/// A session file in a temporary folder, written record by record, and the trace that a view would read from it.
class ScratchSession {
public:
    /// Begins a run of a model of 2 layers × 4 experts, top-2, that starts at 1 ms of the session clock.
    ScratchSession();
    /// A session without a run, for writeSimulatedRun().
    struct Empty {};
    explicit ScratchSession(Empty);
    static RunDescription description();
    static constexpr Nanoseconds kStart{1'000'000};

    QString file() const { return m_folder.filePath("s.esdb"); }
    QString path(const char* name) const { return m_folder.filePath(name); }
    /// A file for a picture: in the folder that EXPERTSCOPE_TEST_PICTURES names, to be looked at, else in the temporary
    /// one.
    QString picture(const QString& name) const;
    SessionWriter& writer() { return *m_writer; }
    RunId run() const { return m_run; }
    /// Ends the run and begins one of the demo model's shape (8 layers × 32 experts, top-4), for pictures that a person
    /// looks at.
    void beginWideRun();
    template <class Record>
    void add(std::initializer_list<Record> records) {
        add(std::vector<Record>(records));
    }
    template <class Record>
    void add(const std::vector<Record>& records) {
        m_writer->append(std::span<const Record>(records));
        m_writer->commit();
    }
    /// The run's trace, up to date.
    RunTrace& trace();

    /// A span; times in nanoseconds since the run's start.
    static SpanRecord span(SpanKind kind, std::int64_t from, std::int64_t to, int step = 0, int layer = -1,
                           int expert = -1, int lane = 0, std::int64_t amount = 0);
    static TransferRecord transfer(std::int64_t id, TransferPurpose purpose, TransferFate fate, int layer, int expert,
                                   std::int64_t from, std::int64_t to, std::int64_t bytes);
    static TokenRecord token(int index, int step, Phase phase, std::int64_t time, const char* text = "a",
                             int request = 0);

private:
    QTemporaryDir m_folder;
    std::unique_ptr<SessionWriter> m_writer;
    RunId m_run;
    std::unique_ptr<SessionReader> m_reader;
    std::unique_ptr<RunTrace> m_trace;
};

/// What a simulated run is like.
struct SimulatedRun {
    const char* policy = "pre-gated";
    int requests = 3;
    int promptTokens = 24;
    int generatedTokens = 48;
    bool prefetch = true;
    RunState state = RunState::Complete;
    const char* link = "100MB/s@20us";
};

/// Writes a run as an offloading engine would record it: 8 layers × 32 experts, top-4, an LRU cache of 96 slots, one
/// transfer thread, two workers; the same every time.
void writeSimulatedRun(SessionWriter& writer, const SimulatedRun& options);

}  // namespace expertscope
