// SPDX-License-Identifier: GPL-3.0-or-later
// What the session file takes a second and a record, and what it answers how fast: spans and selections as a decoding
// run makes them, 10 million of each where a session is opened. The pages of the file are dropped from memory before
// what is called cold.
#include <filesystem>
#include <vector>

#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <unistd.h>

#include "bench_records.h"
#include "storage/session_reader.h"
#include "storage/session_writer.h"
#include "storage/sql.h"

namespace expertscope {
namespace {

constexpr std::int64_t kMillions = 10'000'000;
constexpr std::size_t kPart = 100'000;
constexpr int kPixels = 1920;
constexpr int kSelectionsAToken = BenchSelections::kAToken;

class BenchFile {
public:
    explicit BenchFile(const char* name) : m_path(std::filesystem::temp_directory_path() / name) { remove(); }
    ~BenchFile() { remove(); }
    const std::filesystem::path& path() const { return m_path; }
    /// Makes the kernel forget what it holds of the file.
    void dropFromMemory() const {
        const int file = open(m_path.c_str(), O_RDONLY);
        fdatasync(file);
        posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
        close(file);
    }

private:
    void remove() {
        for (const char* suffix : {"", "-wal", "-shm"})
            std::filesystem::remove(m_path.string() + suffix);
    }
    std::filesystem::path m_path;
};

/// Commits of a hundred thousand, made beforehand so that making them is not counted.
template <class Source>
void sustain(benchmark::State& state) {
    const BenchFile file("expertscope-bench-write.esdb");
    Source source;
    std::vector<decltype(source.next(1))> parts;
    for (int i = 0; i < 90; ++i)
        parts.push_back(source.next(kPart));
    std::int64_t count = 0;
    for (auto _ : state) {
        SessionWriter writer(file.path());
        writer.beginRun({});
        for (const auto& part : parts) {
            writer.append(part);
            writer.commit();
            count += static_cast<std::int64_t>(part.size());
        }
        writer.endRun({}, RunState::Complete);
        writer.close();
    }
    state.SetItemsProcessed(count);
    state.counters["bytes/record"] =
        static_cast<double>(std::filesystem::file_size(file.path())) / static_cast<double>(count);
}
void sustainSpans(benchmark::State& state) { sustain<BenchSpans>(state); }
void sustainSelections(benchmark::State& state) { sustain<BenchSelections>(state); }
BENCHMARK(sustainSpans)->Iterations(1)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(sustainSelections)->Iterations(1)->UseRealTime()->Unit(benchmark::kMillisecond);

/// The session that is opened; made once.
const BenchFile& session() {
    static const BenchFile file("expertscope-bench-open.esdb");
    static const bool made = [] {
        SessionWriter writer(file.path());
        writer.beginRun({});
        BenchSpans spans;
        BenchSelections selections;
        for (std::int64_t i = 0; i < kMillions; i += kPart) {
            writer.append(spans.next(kPart));
            writer.append(selections.next(kPart));
            writer.commit();
        }
        writer.endRun({}, RunState::Complete);
        writer.close();
        return true;
    }();
    static_cast<void>(made);
    return file;
}

struct Extents {
    std::int64_t from, length;
};
Extents timesOf() {
    const SqlResult times =
        runSql(session().path(), "SELECT min(start_ns), max(end_ns) FROM chunk WHERE run_id=1 AND kind='span'");
    const auto from = std::get<std::int64_t>(times.rows[0][0]);
    return {from, std::get<std::int64_t>(times.rows[0][1]) - from};
}

/// Opens the session and answers a window of 1/n of the run, n the argument; cold.
void openSpanWindow(benchmark::State& state) {
    const Extents times = timesOf();
    const std::int64_t length = times.length / state.range(0), from = times.from + (times.length - length) / 3;
    for (auto _ : state) {
        state.PauseTiming();
        session().dropFromMemory();
        state.ResumeTiming();
        const SessionReader reader(session().path());
        benchmark::DoNotOptimize(reader.runs());
        benchmark::DoNotOptimize(
            reader.spanWindow(RunId(1), Nanoseconds(from), Nanoseconds(from + length), kPixels).rows.size());
    }
}
BENCHMARK(openSpanWindow)
    ->Arg(1)
    ->Arg(10)
    ->Arg(30)
    ->Arg(100)
    ->Arg(1000)
    ->Iterations(10)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

void openSelectionWindow(benchmark::State& state) {
    const auto tokens = static_cast<std::int32_t>(kMillions / kSelectionsAToken);
    const auto length = static_cast<std::int32_t>(tokens / state.range(0));
    for (auto _ : state) {
        state.PauseTiming();
        session().dropFromMemory();
        state.ResumeTiming();
        const SessionReader reader(session().path());
        benchmark::DoNotOptimize(reader.runs());
        const TokenIndex from((tokens - length) / 3);
        benchmark::DoNotOptimize(
            reader.selectionWindow(RunId(1), from, TokenIndex(from.value() + length), kPixels).rows.size());
    }
}
BENCHMARK(openSelectionWindow)
    ->Arg(1)
    ->Arg(3)
    ->Arg(30)
    ->Arg(1000)
    ->Iterations(10)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

void query(benchmark::State& state, const char* sql) {
    session();
    for (auto _ : state)
        benchmark::DoNotOptimize(runSql(session().path(), sql).rows.size());
}
#define EXPERTSCOPE_QUERY(name, sql) \
    BENCHMARK_CAPTURE(query, name, sql)->Iterations(2)->UseRealTime()->Unit(benchmark::kMillisecond)
EXPERTSCOPE_QUERY(count, "SELECT count(*) FROM selection");
EXPERTSCOPE_QUERY(missesOfALayer, "SELECT count(*), avg(weight) FROM selection WHERE layer = 3 AND outcome = 'miss'");
EXPERTSCOPE_QUERY(loadsByExpert,
                  "SELECT layer, expert, sum(outcome = 'miss') FROM selection WHERE run_id = 1 GROUP BY layer, expert");
EXPERTSCOPE_QUERY(someTokens,
                  "SELECT layer, expert, weight FROM selection WHERE run_id = 1 AND token BETWEEN 1000 AND 1010");
EXPERTSCOPE_QUERY(waitsOfASecond,
                  "SELECT count(*), sum(end_ns - start_ns) FROM span WHERE run_id = 1 AND kind = 'wait' AND "
                  "start_ns BETWEEN 1001000000000 AND 1002000000000");

/// All records, as whoever follows a run reads them.
void readAll(benchmark::State& state) {
    std::int64_t count = 0;
    session();
    for (auto _ : state) {
        const SessionReader reader(session().path());
        ReadCursor cursor;
        for (RecordBatch batch; !(batch = reader.readNew(RunId(1), cursor)).empty();)
            count += static_cast<std::int64_t>(batch.spans.size() + batch.selections.size());
    }
    state.SetItemsProcessed(count);
}
BENCHMARK(readAll)->Iterations(1)->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace expertscope

BENCHMARK_MAIN();
