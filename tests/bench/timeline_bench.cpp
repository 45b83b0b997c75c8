// SPDX-License-Identifier: GPL-3.0-or-later
// What a timeline frame costs: sorting a million spans into rows once, and drawing them at 1920 × 1080 at several
// zooms.
#include <QTemporaryDir>

#include <benchmark/benchmark.h>

#include "storage/session_writer.h"
#include "views/base/theme.h"
#include "views/timeline/timeline_model.h"

namespace expertscope {
namespace {

constexpr int kSpans = 1'000'000;
constexpr std::int64_t kSpacing = 20'000;  // ns between the starts of two spans of a lane

/// A run with a million spans on the compute lane, two workers and a link.
class Recorded {
public:
    Recorded() {
        const std::string file = m_folder.filePath("bench.esdb").toStdString();
        SessionWriter writer(file);
        RunDescription description;
        description.model.layers = 48;
        description.model.experts = 128;
        const RunId run = writer.beginRun(description);
        constexpr SpanKind kKinds[] = {SpanKind::ExpertCompute, SpanKind::TransferPrefetch, SpanKind::Wait,
                                       SpanKind::Attention};
        std::vector<SpanRecord> spans;
        for (int i = 0; i < kSpans; ++i) {
            SpanRecord span;
            span.kind = kKinds[i % 4];
            span.lane = LaneId(span.kind == SpanKind::ExpertCompute      ? 1 + i / 4 % 2
                               : span.kind == SpanKind::TransferPrefetch ? 100
                                                                         : 0);
            span.start = Nanoseconds(i / 4 * kSpacing + i % 4 * 1000);
            span.end = span.start + Nanoseconds(4000 + i * 7919LL % 14'000);
            span.layer = LayerIndex(i / 16 % 48);
            span.expert = ExpertId(i * 31 % 128);
            span.step = StepIndex(i / 768);
            spans.push_back(span);
        }
        writer.append(std::span<const SpanRecord>(spans));
        writer.commit();
        writer.endRun({}, RunState::Complete);
        writer.close();
        m_reader = std::make_unique<SessionReader>(file);
        m_trace = std::make_unique<RunTrace>(*m_reader, run);
        while (m_trace->refresh()) {}
    }
    const RunTrace& trace() const { return *m_trace; }

private:
    QTemporaryDir m_folder;
    std::unique_ptr<SessionReader> m_reader;
    std::unique_ptr<RunTrace> m_trace;
};

const RunTrace& trace() {
    static const Recorded recorded;
    return recorded.trace();
}

void sortIntoRows(benchmark::State& state) {
    for (auto _ : state) {
        TimelineModel model;
        model.setTrace(&trace());
        benchmark::DoNotOptimize(model.contentHeight());
    }
    state.SetItemsProcessed(state.iterations() * kSpans);
}
BENCHMARK(sortIntoRows)->Unit(benchmark::kMillisecond);

/// The argument is which part of the run is visible: 1 of it all, 1/10, …
void drawFrame(benchmark::State& state) {
    TimelineModel model;
    model.setTrace(&trace());
    const auto whole = static_cast<double>(model.extent().to);
    const double width = whole / static_cast<double>(state.range(0));
    const Viewport viewport{QRectF(whole * 0.3, 0, width, 1080), QSize(1920, 1080)};
    for (auto _ : state)
        benchmark::DoNotOptimize(model.drawItems(viewport, Theme::dark()));
}
BENCHMARK(drawFrame)->RangeMultiplier(10)->Range(1, 100'000)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace expertscope

BENCHMARK_MAIN();
