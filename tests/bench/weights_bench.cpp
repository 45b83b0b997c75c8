// SPDX-License-Identifier: GPL-3.0-or-later
// What the analyses of weights cost: EXPERTSCOPE_BENCH_MODEL names the checkpoint (tools/random_checkpoint.py makes one
// of any size), else the bundled one is taken. All but `cold` read from the page cache once the first round is over.
// `speed_of_reading` is the analyses' speed over that of reading the same files whole, `reading` bytes a second, both
// measured in turn: from the page cache, and from the disk, which is out of it before each.
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <vector>

#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <unistd.h>

#include "engine/model/checkpoint.h"
#include "engine/model/input_file.h"
#include "profiler/analysis/weights/weight_study.h"

namespace expertscope {
namespace {

const Checkpoint& checkpoint() {
    static const Checkpoint kCheckpoint = [] {
        const char* const path = std::getenv("EXPERTSCOPE_BENCH_MODEL");
        return Checkpoint::open(path != nullptr ? path : EXPERTSCOPE_RESOURCES "/demo_model");
    }();
    return kCheckpoint;
}

std::int64_t fileBytes() {
    std::int64_t bytes = 0;
    for (const std::filesystem::path& file : checkpoint().tensors().files())
        bytes += static_cast<std::int64_t>(std::filesystem::file_size(file));
    return bytes;
}

/// As `cat FILES > /dev/null` with a buffer of its size.
void readWhole() {
    std::vector<std::byte> buffer(128 << 10);
    for (const std::filesystem::path& path : checkpoint().tensors().files()) {
        const InputFile file(path);
        for (std::int64_t at = 0; at < file.size();)
            at += static_cast<std::int64_t>(file.readAt(at, buffer));
    }
}

/// Out of the page cache, so that the next reading is from the disk.
void forget() {
    for (const std::filesystem::path& path : checkpoint().tensors().files()) {
        const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
        (void)::posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
        ::close(file);
    }
}

void readFiles(benchmark::State& state) {
    for (auto _ : state)
        readWhole();
    state.SetBytesProcessed(state.iterations() * fileBytes());
}
BENCHMARK(readFiles)->Unit(benchmark::kMillisecond)->UseRealTime();

void analyse(const std::vector<std::string>& names) {
    WeightStudy study(checkpoint());
    AnalysisInput input;
    input.checkpoint = &checkpoint();
    input.weights = &study;
    for (const std::string& name : names)
        benchmark::DoNotOptimize(runAnalysis(analysisInfo(analysisCatalogue(), name), name, input));
}

/// The similarities of whole matrices, mean neurons and router rows beside reading, from the page cache or the disk.
void besideReading(benchmark::State& state, bool cold) {
    const auto seconds = [cold](auto&& work) {
        if (cold) forget();
        const auto began = std::chrono::steady_clock::now();
        work();
        return std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    };
    double reading = 0, analysing = 0;
    for (auto _ : state) {
        reading += seconds(readWhole);
        const double took = seconds([] { analyse({"weight-similarity", "neuron-similarity", "gate-similarity"}); });
        state.SetIterationTime(took);
        analysing += took;
    }
    state.SetBytesProcessed(state.iterations() * fileBytes());
    const auto bytes = static_cast<double>(state.iterations() * fileBytes());
    state.counters["reading"] =
        benchmark::Counter(bytes / reading, benchmark::Counter::kDefaults, benchmark::Counter::OneK::kIs1024);
    state.counters["speed_of_reading"] = reading / analysing;
}
BENCHMARK_CAPTURE(besideReading, cached, false)->Unit(benchmark::kMillisecond)->UseManualTime();
BENCHMARK_CAPTURE(besideReading, cold, true)->Unit(benchmark::kMillisecond)->UseManualTime();

void analyses(benchmark::State& state, const std::vector<std::string>& names) {
    for (auto _ : state)
        analyse(names);
    state.SetBytesProcessed(state.iterations() * fileBytes());
}
BENCHMARK_CAPTURE(analyses, stableRank, {"stable-rank"})->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK_CAPTURE(analyses, expertPca, {"expert-pca"})->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK_CAPTURE(analyses, neuronPca, {"neuron-pca"})->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK_CAPTURE(analyses, neuronMatching, {"neuron-matching:layer=0"})->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace
}  // namespace expertscope

BENCHMARK_MAIN();
