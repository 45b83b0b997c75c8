// SPDX-License-Identifier: GPL-3.0-or-later
// What an annotation of the engine costs beside the span that it records: with nobody listening (as here, unless the
// program runs under a tool) it must not be measurable.
#include <benchmark/benchmark.h>

#include "engine/base/annotation.h"

namespace expertscope {
namespace {

/// Takes spans and does nothing.
struct Nobody : Observer {
    void onSpan(const SpanRecord& span) override { benchmark::DoNotOptimize(span.end); }
};

SpanRecord someSpan(std::int32_t i) {
    return {.start = Nanoseconds(i),
            .end = {},
            .amount = 1,
            .step = StepIndex(i),
            .layer = LayerIndex(i & 7),
            .expert = ExpertId(i & 31),
            .lane = LaneId(1),
            .kind = SpanKind::ExpertCompute};
}

void spanAlone(benchmark::State& state) {
    Nobody nobody;
    Observer* observer = &nobody;
    benchmark::DoNotOptimize(observer);
    std::int32_t i = 0;
    for (auto _ : state) {
        SpanRecord span = someSpan(++i);
        span.end = Nanoseconds(i + 1);
        observer->onSpan(span);
    }
}
BENCHMARK(spanAlone);

void annotated(benchmark::State& state) {
    listenForRanges();
    Nobody nobody;
    Observer* observer = &nobody;
    benchmark::DoNotOptimize(observer);
    std::int32_t i = 0;
    for (auto _ : state) {
        SpanAnnotation annotation(someSpan(++i));
        annotation.end(Nanoseconds(i + 1), observer);
    }
    state.SetLabel(g_rangesHeard.load() ? "somebody listens" : "nobody listens");
}
BENCHMARK(annotated);

}  // namespace
}  // namespace expertscope

BENCHMARK_MAIN();
