// SPDX-License-Identifier: GPL-3.0-or-later
// Products beside the plain reading of as many bytes: a decode step should cost what reading its weights costs.
#include <cstdint>
#include <numeric>
#include <random>
#include <vector>

#include <benchmark/benchmark.h>

#include "engine/compute/kernels.h"
#include "engine/compute/thread_pool.h"

namespace expertscope {
namespace {

std::vector<std::uint16_t> randomBf16(std::size_t count) {
    std::mt19937 random(1);
    std::vector<std::uint16_t> weights(count);
    // Exponents around 2^-5, as trained weights have: no subnormals, which some CPUs slow down for.
    for (auto& weight : weights)
        weight = static_cast<std::uint16_t>((random() & 0x83FF) | 0x3C00);
    return weights;
}

void setBandwidth(benchmark::State& state, std::size_t bytesPerIteration) {
    state.counters["GB/s"] =
        benchmark::Counter(static_cast<double>(bytesPerIteration), benchmark::Counter::kIsIterationInvariantRate);
}

/// Sums a buffer of range(0) KiB.
void readMemory(benchmark::State& state) {
    std::vector<std::uint64_t> words(static_cast<std::size_t>(state.range(0)) * 128, 3);
    for (auto _ : state) {
        std::uint64_t sums[16] = {};
        for (std::size_t i = 0; i < words.size(); i += 16) {
            for (std::size_t k = 0; k < 16; ++k)
                sums[k] += words[i + k];
        }
        benchmark::DoNotOptimize(sums);
        benchmark::ClobberMemory();
    }
    setBandwidth(state, words.size() * 8);
}
BENCHMARK(readMemory)->Arg(16)->Arg(256)->Arg(8 << 10)->Arg(27 << 10)->Arg(128 << 10);

/// One product of [range(0), range(1)] BF16 with range(2) tokens, taking range(3) matrices in turn.
void product(benchmark::State& state) {
    const int rows = static_cast<int>(state.range(0));
    const int cols = static_cast<int>(state.range(1));
    const int tokens = static_cast<int>(state.range(2));
    const auto matrices = static_cast<std::size_t>(state.range(3));
    const std::size_t size = static_cast<std::size_t>(rows) * static_cast<std::size_t>(cols);
    const std::vector<std::uint16_t> weights = randomBf16(size * matrices);
    const std::vector<float> x(static_cast<std::size_t>(tokens) * static_cast<std::size_t>(cols), 0.7F);
    std::vector<float> y(static_cast<std::size_t>(tokens) * static_cast<std::size_t>(rows));
    const Kernels& kernels = Kernels::vectorised();
    std::size_t matrix = 0;
    for (auto _ : state) {
        const MatrixView w{reinterpret_cast<const std::byte*>(weights.data() + matrix * size), ElementType::BF16, rows,
                           cols};
        kernels.matmul(w, x.data(), tokens, 0, rows, y.data());
        benchmark::DoNotOptimize(y.data());
        benchmark::ClobberMemory();
        if (++matrix == matrices) matrix = 0;
    }
    setBandwidth(state, size * 2);
    state.counters["GFLOP/s"] =
        benchmark::Counter(2.0 * static_cast<double>(size) * tokens, benchmark::Counter::kIsIterationInvariantRate);
}
BENCHMARK(product)
    ->ArgNames({"rows", "cols", "tokens", "matrices"})
    ->Args({96, 192, 1, 1})
    ->Args({96, 192, 1, 768})
    ->Args({4096, 192, 1, 1})
    ->Args({2048, 2048, 1, 1})
    ->Args({2048, 2048, 1, 8})
    ->Args({96, 192, 2, 1})
    ->Args({96, 192, 3, 1})
    ->Args({96, 192, 4, 1})
    ->Args({96, 192, 8, 1})
    ->Args({96, 192, 64, 1})
    ->Args({2048, 2048, 2, 1})
    ->Args({2048, 2048, 64, 1});

/// A head of 64 over range(0) positions of a cache with two key heads.
void attention(benchmark::State& state) {
    const int count = static_cast<int>(state.range(0));
    const std::vector<float> cache(static_cast<std::size_t>(count) * 128, 0.25F);
    const std::vector<float> query(64, 0.1F);
    std::vector<float> scores(static_cast<std::size_t>(count)), out(64);
    for (auto _ : state) {
        Kernels::vectorised().attend(query.data(), cache.data(), cache.data() + 64, 128, count, 64, 0.125F,
                                     scores.data(), out.data());
        benchmark::DoNotOptimize(out.data());
        benchmark::ClobberMemory();
    }
}
BENCHMARK(attention)->Arg(16)->Arg(256);

void siluMultiply(benchmark::State& state) {
    const int n = static_cast<int>(state.range(0));
    std::vector<float> gate(static_cast<std::size_t>(n), 0.3F), up(gate), out(gate);
    for (auto _ : state) {
        Kernels::vectorised().siluMultiply(gate.data(), up.data(), n, out.data());
        benchmark::DoNotOptimize(out.data());
        benchmark::ClobberMemory();
    }
}
BENCHMARK(siluMultiply)->Arg(96)->Arg(768);

void softmax(benchmark::State& state) {
    std::vector<float> x(static_cast<std::size_t>(state.range(0)));
    std::iota(x.begin(), x.end(), 0.0F);
    for (auto _ : state) {
        benchmark::DoNotOptimize(Kernels::vectorised().softmax(x.data(), static_cast<int>(x.size())));
        benchmark::ClobberMemory();
    }
}
BENCHMARK(softmax)->Arg(32)->Arg(4096);

void rmsNorm(benchmark::State& state) {
    std::vector<float> x(static_cast<std::size_t>(state.range(0)), 0.3F), weight(x), out(x);
    for (auto _ : state) {
        Kernels::vectorised().rmsNorm(x.data(), weight.data(), 1e-6F, static_cast<int>(x.size()), out.data());
        benchmark::DoNotOptimize(out.data());
        benchmark::ClobberMemory();
    }
}
BENCHMARK(rmsNorm)->Arg(64)->Arg(192);

/// A loop of two empty items a thread: what run() itself costs.
void emptyLoop(benchmark::State& state) {
    ThreadPool pool(static_cast<int>(state.range(0)));
    for (auto _ : state) {
        pool.forEach(pool.threads() * 2, [](int item, int) { benchmark::DoNotOptimize(item); });
    }
}
BENCHMARK(emptyLoop)->ArgName("threads")->Arg(1)->Arg(2)->Arg(4)->UseRealTime();

/// The rows of a [4096, 192] head shared out in 16 parts.
void headOverThreads(benchmark::State& state) {
    ThreadPool pool(static_cast<int>(state.range(0)));
    const std::vector<std::uint16_t> weights = randomBf16(4096 * 192);
    const std::vector<float> x(192, 0.7F);
    std::vector<float> y(4096);
    const MatrixView w{reinterpret_cast<const std::byte*>(weights.data()), ElementType::BF16, 4096, 192};
    for (auto _ : state) {
        pool.forEach(16, [&](int item, int) {
            Kernels::vectorised().matmul(w, x.data(), 1, item * 256, item * 256 + 256, y.data());
        });
        benchmark::ClobberMemory();
    }
    setBandwidth(state, weights.size() * 2);
}
BENCHMARK(headOverThreads)->ArgName("threads")->Arg(1)->Arg(2)->Arg(4)->UseRealTime();

}  // namespace
}  // namespace expertscope

BENCHMARK_MAIN();
