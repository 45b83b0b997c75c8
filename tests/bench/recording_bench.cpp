// SPDX-License-Identifier: GPL-3.0-or-later
// What recording costs: a span on the thread that tells it, and what the session file takes a second.
#include <chrono>
#include <ctime>
#include <filesystem>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <benchmark/benchmark.h>

#include "engine/compute/thread_pool.h"
#include "engine/inference/engine.h"
#include "profiler/capture/recorder.h"
#include "storage/session_reader.h"
#include "storage/session_writer.h"

namespace expertscope {
namespace {

/// A session file in the temporary folder, removed at the end of its scope.
class BenchFile {
public:
    BenchFile() : m_path(std::filesystem::temp_directory_path() / "expertscope-bench.esdb") { remove(); }
    ~BenchFile() { remove(); }
    const std::filesystem::path& path() const { return m_path; }

private:
    void remove() {
        for (const char* suffix : {"", "-wal", "-shm"}) {
            std::filesystem::remove(m_path.string() + suffix);
        }
    }
    std::filesystem::path m_path;
};

/// Records as a decoding run makes them: 8 layers × 4 experts a token.
std::vector<SpanRecord> spans(std::size_t count) {
    std::vector<SpanRecord> records(count);
    std::int64_t time = 1'000'000'000;
    for (std::size_t i = 0; i < count; ++i) {
        const auto n = static_cast<std::int32_t>(i);
        records[i] = {Nanoseconds(time), Nanoseconds(time + 900), 1,
                      StepIndex(n / 64), LayerIndex(n / 8 % 8),   ExpertId(n * 7 % 32),
                      LaneId(n % 3),     SpanKind::ExpertCompute};
        time += 1000;
    }
    return records;
}

std::vector<SelectionRecord> selections(std::size_t count) {
    std::vector<SelectionRecord> records(count);
    for (std::size_t i = 0; i < count; ++i) {
        const auto n = static_cast<std::int32_t>(i);
        const float weight = 1.0f / static_cast<float>(1 + n % 97);
        records[i] = {StepIndex(n / 32),
                      TokenIndex(n / 32),
                      LayerIndex(n / 4 % 8),
                      n % 4,
                      ExpertId(n * 7 % 32),
                      weight,
                      weight * 3,
                      static_cast<Outcome>(n % 3),
                      true};
    }
    return records;
}

/// Time of onSpan alone, in bursts that fit the ring, the clock not counted.
void recordSpan(benchmark::State& state) {
    const BenchFile file;
    SessionWriter writer(file.path());
    Recorder recorder(writer, {});
    const std::vector<SpanRecord> burst = spans(8192);
    for (auto _ : state) {
        for (const SpanRecord& span : burst) {
            recorder.onSpan(span);
        }
        state.PauseTiming();
        std::this_thread::sleep_for(std::chrono::milliseconds(12));
        state.ResumeTiming();
    }
    RunSummary summary;
    recorder.finish(summary, RunState::Complete);
    state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(burst.size()));
    state.counters["dropped"] = static_cast<double>(summary.dropped);
}
BENCHMARK(recordSpan)->Iterations(100)->UseRealTime();

/// A million spans a second for three seconds: how many are lost, and what the file takes a span.
void recordMillionSpansASecond(benchmark::State& state) {
    const std::vector<SpanRecord> burst = spans(1000);
    double dropped = 0, bytes = 0;
    for (auto _ : state) {
        const BenchFile file;
        SessionWriter writer(file.path());
        Recorder recorder(writer, {});
        const std::int64_t start = sessionNow().count();
        for (std::int64_t part = 0; part < 3000; ++part) {
            while (sessionNow().count() < start + part * 1'000'000) {}
            for (const SpanRecord& span : burst) {
                recorder.onSpan(span);
            }
        }
        RunSummary summary;
        recorder.finish(summary, RunState::Complete);
        writer.close();
        dropped += static_cast<double>(summary.dropped);
        bytes = static_cast<double>(std::filesystem::file_size(file.path())) / static_cast<double>(summary.spans);
    }
    state.counters["dropped"] = dropped;
    state.counters["bytes/span"] = bytes;
}
BENCHMARK(recordMillionSpansASecond)->Iterations(1)->Unit(benchmark::kMillisecond)->UseRealTime();

template <class Record>
void writeSession(benchmark::State& state, const std::vector<Record>& records) {
    const BenchFile file;
    SessionWriter writer(file.path());
    writer.beginRun({});
    for (auto _ : state) {
        writer.append(std::span<const Record>(records));
        writer.commit();
    }
    writer.close();
    const std::int64_t count = state.iterations() * static_cast<std::int64_t>(records.size());
    state.SetItemsProcessed(count);
    state.counters["bytes/record"] =
        static_cast<double>(std::filesystem::file_size(file.path())) / static_cast<double>(count);
}
void writeSpans(benchmark::State& state) { writeSession(state, spans(300'000)); }
void writeSelections(benchmark::State& state) { writeSession(state, selections(300'000)); }
BENCHMARK(writeSpans)->Iterations(15)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(writeSelections)->Iterations(15)->UseRealTime()->Unit(benchmark::kMillisecond);

/// Everything that a run of the bundled model tells, by step.
class Told : public Observer {
public:
    struct Step {
        std::vector<SpanRecord> spans;
        std::vector<SelectionRecord> selections;
        std::vector<PredictionRecord> predictions;
        std::vector<TokenRecord> tokens;
    };
    std::vector<Step> steps;
    Told() : steps(1) {}
    void onSpan(const SpanRecord& span) override {
        const std::lock_guard lock(m_mutex);  // the workers tell theirs
        steps.back().spans.push_back(span);
        if (span.kind == SpanKind::Step) steps.emplace_back();
    }
    void onSelections(std::span<const SelectionRecord> records) override { add(steps.back().selections, records); }
    void onPredictions(std::span<const PredictionRecord> records) override { add(steps.back().predictions, records); }
    void onToken(const TokenRecord& token) override { steps.back().tokens.push_back(token); }

private:
    template <class Record>
    void add(std::vector<Record>& to, std::span<const Record> records) {
        to.insert(to.end(), records.begin(), records.end());
    }
    std::mutex m_mutex;
};

std::int64_t processorTime() {
    timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

/// What the writing thread takes of a processor for a decoded token of the bundled model, at commits as a recorder
/// makes them at three thousand tokens a second.
void writeTokens(benchmark::State& state) {
    constexpr int kTokens = 240, kDrains = 2;
    Told told;
    {
        const Checkpoint checkpoint = Checkpoint::open(std::filesystem::path(EXPERTSCOPE_RESOURCES) / "demo_model");
        EngineOptions options;
        options.threads = ThreadPool::availableCpus();  // predictions in the run's order, on its own threads
        Engine engine(checkpoint, nullptr, options, told);
        engine.start();
        GenerationRequest wanted;
        wanted.promptIds = {65, 400, 97, 110, 100};
        wanted.tokens = kTokens;
        engine.generate(wanted);
        engine.finish();
    }
    const BenchFile file;
    SessionWriter writer(file.path());
    writer.beginRun({});
    std::int64_t tokens = 0, taken = 0;
    for (auto _ : state) {
        for (Told::Step& step : told.steps)
            for (TokenRecord& token : step.tokens)
                token.token = TokenIndex(token.token.value() + 2 * kTokens);
        const std::int64_t before = processorTime();
        for (std::size_t drain = 0; drain < kDrains; ++drain)
            for (std::size_t step = drain * told.steps.size() / kDrains;
                 step < (drain + 1) * told.steps.size() / kDrains; ++step) {
                writer.append(told.steps[step].spans);
                writer.append(told.steps[step].selections);
                writer.append(told.steps[step].predictions);
                writer.append(told.steps[step].tokens);
            }
        writer.commit();
        taken += processorTime() - before;
        tokens += kTokens;
    }
    writer.close();
    state.counters["ns/token"] = static_cast<double>(taken) / static_cast<double>(tokens);
    state.counters["bytes/token"] =
        static_cast<double>(std::filesystem::file_size(file.path())) / static_cast<double>(tokens);
}
BENCHMARK(writeTokens)->Iterations(200)->UseRealTime()->Unit(benchmark::kMillisecond);

void readSession(benchmark::State& state) {
    const BenchFile file;
    {
        SessionWriter writer(file.path());
        writer.beginRun({});
        writer.append(std::span<const SpanRecord>(spans(1'000'000)));
        writer.append(std::span<const SelectionRecord>(selections(1'000'000)));
        writer.endRun({}, RunState::Complete);
    }
    std::int64_t count = 0;
    for (auto _ : state) {
        const SessionReader reader(file.path());
        ReadCursor cursor;
        for (RecordBatch batch; !(batch = reader.readNew(RunId(1), cursor)).empty();) {
            count += static_cast<std::int64_t>(batch.spans.size() + batch.selections.size());
        }
    }
    state.SetItemsProcessed(count);
}
BENCHMARK(readSession)->Iterations(5)->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace expertscope

BENCHMARK_MAIN();
