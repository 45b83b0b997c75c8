// SPDX-License-Identifier: GPL-3.0-or-later
// What replays cost, on a made-up trace of a million accesses (million_accesses.h).
#include <memory>
#include <vector>

#include <benchmark/benchmark.h>

#include "engine/offload/policy_registry.h"
#include "profiler/replay/replay.h"
#include "tests/bench/million_accesses.h"

namespace expertscope {
namespace {

const RoutingTrace& trace() {
    static const RoutingTrace made = millionAccesses();
    return made;
}

const ReplayBench& bench(bool timed) {
    const auto make = [](bool withTimes) {
        RecordedRun run;
        run.entry.description.model = trace().model();
        run.trace = trace();
        if (withTimes) run.times = madeUpTimes(trace());
        return std::make_unique<ReplayBench>(std::move(run));
    };
    static const auto plain = make(false), withTimes = make(true);
    return timed ? *withTimes : *plain;
}

std::vector<std::string> allEvictions() {
    std::vector<std::string> names;
    for (const EvictionInfo& info : evictionCatalogue())
        if (!info.replayOnly) names.push_back(info.name);
    names.insert(names.end(), {"belady", "belady-bypass"});
    return names;
}

Bytes share(double part) {
    return Bytes(static_cast<std::int64_t>(part * static_cast<double>(trace().model().totalExpertBytes.count())));
}

void perAccess(benchmark::State& state) {
    state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(trace().accesses().size()));
}

/// All LRU budgets in one pass.
void lruCurve(benchmark::State& state) {
    trace();
    for (auto _ : state)
        benchmark::DoNotOptimize(LruCurve(trace()).at(kBytes * 1000).hits);
    perAccess(state);
}
BENCHMARK(lruCurve)->Unit(benchmark::kMillisecond);

void belady(benchmark::State& state) {
    bench(false);
    for (auto _ : state)
        benchmark::DoNotOptimize(
            bench(false).replay({.eviction = "belady", .budget = share(0.25)}, Settle::Layer).misses);
    perAccess(state);
}
BENCHMARK(belady)->Unit(benchmark::kMillisecond);

/// One eviction rule at a quarter of the experts.
void oneRule(benchmark::State& state, const std::string& name, Settle settle, bool timed) {
    bench(timed);
    for (auto _ : state)
        benchmark::DoNotOptimize(bench(timed).replay({.eviction = name, .budget = share(0.25)}, settle).misses);
    perAccess(state);
}

/// Every eviction rule at 32 budgets, two threads.
void everyRuleAt32Budgets(benchmark::State& state, Settle settle) {
    std::vector<ReplayCase> cases;
    for (const std::string& name : allEvictions())
        for (int i = 1; i <= 32; ++i)
            cases.push_back({.eviction = name, .budget = share(i / 32.0)});
    bench(false);
    for (auto _ : state)
        benchmark::DoNotOptimize(bench(false).replayAll(cases, settle, 2).front().misses);
    state.counters["combinations"] = static_cast<double>(cases.size());
}
BENCHMARK_CAPTURE(everyRuleAt32Budgets, settledAtLayer, Settle::Layer)
    ->Unit(benchmark::kSecond)
    ->Iterations(1)
    ->UseRealTime();
BENCHMARK_CAPTURE(everyRuleAt32Budgets, asTheEngine, Settle::Admit)
    ->Unit(benchmark::kSecond)
    ->Iterations(1)
    ->UseRealTime();

}  // namespace

/// Not at start-up: the catalogue of rules may not be there yet.
void registerEveryRule() {
    for (const std::string& name : allEvictions()) {
        const auto add = [&](const std::string& how, Settle settle, bool timed) {
            benchmark::RegisterBenchmark((how + "/" + name).c_str(), oneRule, name, settle, timed)
                ->Unit(benchmark::kMillisecond);
        };
        add("settledAtLayer", Settle::Layer, false);
        add("asTheEngine", Settle::Admit, false);
        add("withTime", Settle::Admit, true);
    }
}

}  // namespace expertscope

int main(int argc, char** argv) {
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
    expertscope::registerEveryRule();
    benchmark::RunSpecifiedBenchmarks();
    benchmark::Shutdown();
    return 0;
}
