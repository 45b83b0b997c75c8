// SPDX-License-Identifier: GPL-3.0-or-later
// How soon the what-if view knows an answer after a slider was moved, on a trace of a million accesses: first what it
// says and draws at once, then the speeds of three policies at the slider's budget, roughly, while replays that an
// earlier move asked for are still running.
#include <chrono>
#include <condition_variable>

#include <benchmark/benchmark.h>

#include "tests/bench/million_accesses.h"
#include "views/base/theme.h"
#include "views/whatif/replay_jobs.h"

namespace expertscope {
namespace {

const Viewport kViewport{QRectF(0, 0, 101, 102), QSize(600, 400)};

const std::vector<WhatIfSeries>& series() {
    static const std::vector<WhatIfSeries> some{{"lfu", "on-demand", "lfu"},
                                                {"lfru", "on-demand", "lfru"},
                                                {"on-demand", "on-demand", "lru", true},
                                                {"prefetch-all", "prefetch-all", "lru", true},
                                                {"moe-infinity", "moe-infinity", "lru", true}};
    return some;
}

std::shared_ptr<const ReplayBench> bench() {
    static const auto made = [] {
        RecordedRun run;
        run.trace = millionAccesses();
        run.times = madeUpTimes(run.trace);
        run.entry.description.model = run.trace.model();
        run.entry.description.budget = Bytes(run.trace.model().totalExpertBytes.count() / 4);
        return std::make_shared<const ReplayBench>(std::move(run));
    }();
    return made;
}

LinkSpec linkOf(int move) { return parseLink(std::to_string(1000 + move) + "MB/s@20us"); }

void withBounds(WhatIfModel& model) {
    model.setBench(bench());
    model.setSeries(series());
    while (!model.openBounds().empty()) {
        const int at = model.openBounds().front();
        const ReplayCase what = model.caseOf(series().back(), at);
        model.takeBound(at, bench()->bound(what.budget, what.link, Settle::Admit));
    }
}

void atOnce(benchmark::State& state, bool link) {
    WhatIfModel model;
    withBounds(model);
    int move = 0;
    for (auto _ : state) {
        ++move;
        if (link)
            model.setLink(linkOf(move % 100));
        else
            model.setBudget(0.1 + 0.005 * (move % 100));
        benchmark::DoNotOptimize(model.answer());
        benchmark::DoNotOptimize(model.hitChart(kViewport, Theme::light()));
        benchmark::DoNotOptimize(model.speedChart(kViewport, Theme::light()));
        benchmark::DoNotOptimize(model.rows());
    }
}
BENCHMARK_CAPTURE(atOnce, budget, false)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(atOnce, link, true)->Unit(benchmark::kMillisecond);

/// Until every policy has an answer, rough or whole, for the slider's budget over the new link.
void replayed(benchmark::State& state) {
    WhatIfModel model;
    withBounds(model);
    ReplayJobs jobs;
    std::mutex mutex;
    std::condition_variable told;
    QObject::connect(
        &jobs, &ReplayJobs::arrived, &jobs, [&] { told.notify_one(); }, Qt::DirectConnection);
    const auto ask = [&] {
        std::vector<ReplayJobs::Wish> wishes;
        for (const auto& [what, at] : model.urgent())
            wishes.push_back({what, at, model.roughCaseOf(what, at)});
        for (const auto& [what, at] : model.open())
            wishes.push_back({what, at, model.caseOf(what, at)});
        jobs.wish(bench(), std::move(wishes));
    };
    int move = 0;
    for (auto _ : state) {
        model.setLink(linkOf(++move));
        model.setBudget(0.1 + 0.05 * (move % 10));
        ask();
        std::unique_lock lock(mutex);
        while (!model.urgent().empty()) {
            told.wait_for(lock, std::chrono::milliseconds(5));
            for (const ReplayJobs::Done& done : jobs.take())
                if (done.result) model.take(*done.wish.series, done.wish.at, *done.result);
        }
    }
    jobs.wish(bench(), {});
}
BENCHMARK(replayed)->Unit(benchmark::kMillisecond)->UseRealTime()->MinTime(2);

}  // namespace
}  // namespace expertscope

BENCHMARK_MAIN();
