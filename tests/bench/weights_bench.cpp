// SPDX-License-Identifier: GPL-3.0-or-later
// What the analyses of weights cost, beside reading the same files whole: EXPERTSCOPE_BENCH_MODEL names the checkpoint
// (tools/random_checkpoint.py makes one of any size), else the bundled one is taken. Both read from the page cache once
// the first round is over.
#include <cstdlib>
#include <filesystem>
#include <vector>

#include <benchmark/benchmark.h>

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
void readFiles(benchmark::State& state) {
    std::vector<std::byte> buffer(128 << 10);
    for (auto _ : state) {
        for (const std::filesystem::path& path : checkpoint().tensors().files()) {
            const InputFile file(path);
            for (std::int64_t at = 0; at < file.size();)
                at += static_cast<std::int64_t>(file.readAt(at, buffer));
        }
    }
    state.SetBytesProcessed(state.iterations() * fileBytes());
}
BENCHMARK(readFiles)->Unit(benchmark::kMillisecond)->UseRealTime();

void analyses(benchmark::State& state, const std::vector<std::string>& names) {
    for (auto _ : state) {
        WeightStudy study(checkpoint());
        AnalysisInput input;
        input.checkpoint = &checkpoint();
        input.weights = &study;
        for (const std::string& name : names)
            benchmark::DoNotOptimize(runAnalysis(analysisInfo(analysisCatalogue(), name), name, input));
    }
    state.SetBytesProcessed(state.iterations() * fileBytes());
}
BENCHMARK_CAPTURE(analyses, similarities, {"weight-similarity", "neuron-similarity", "gate-similarity"})
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();
BENCHMARK_CAPTURE(analyses, stableRank, {"stable-rank"})->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK_CAPTURE(analyses, expertPca, {"expert-pca"})->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK_CAPTURE(analyses, neuronPca, {"neuron-pca"})->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK_CAPTURE(analyses, neuronMatching, {"neuron-matching:layer=0"})->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace
}  // namespace expertscope

BENCHMARK_MAIN();
