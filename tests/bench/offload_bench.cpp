// SPDX-License-Identifier: GPL-3.0-or-later
// Offloaded decoding of the demo model: how much of the transfers pre-gating hides, on links from much slower than the
// compute to as fast as it. On-demand and pre-gated runs alternate, so that what the machine does besides meets both.

#include <algorithm>
#include <cstdint>
#include <vector>

#include <benchmark/benchmark.h>

#include "engine/inference/engine.h"

namespace expertscope {
namespace {

constexpr int kPairs = 5;
constexpr int kTokens = 160;

/// A link on which what `onDemand` moved takes `ratio` times as long as the compute of `resident`.
LinkSpec linkFor(const RunSummary& resident, const RunSummary& onDemand, double ratio) {
    LinkSpec link;
    const double seconds = resident.computeMs * 1e-3 * ratio;
    link.bytesPerSecond = static_cast<double>(onDemand.moved.count()) / seconds;
    link.latency = Nanoseconds(0);
    link.text = "bench";
    return link;
}

RunSummary decode(const Checkpoint& checkpoint, const char* policy, std::optional<LinkSpec> link) {
    EngineOptions options;
    options.policy = policy;
    options.budget = {.share = 0.25, .bytes = {}};
    options.io = IoMode::Buffered;
    options.link = std::move(link);
    options.record = {.routing = false, .spans = false, .norms = false, .predictions = false};
    Observer nobody;
    Engine engine(checkpoint, nullptr, options, nobody);
    engine.start();
    for (std::int32_t request = 0; request < 4; ++request) {
        GenerationRequest wanted;
        wanted.promptIds = {65 + request, 400 + 31 * request, 97, 110, 100};
        wanted.tokens = kTokens;
        engine.generate(wanted);
    }
    return engine.finish();
}

double median(std::vector<double> values) {
    std::ranges::sort(values);
    return values[values.size() / 2];
}

/// Argument: the link's time over the compute's, in percent.
void overlap(benchmark::State& state) {
    const Checkpoint checkpoint = Checkpoint::open(std::filesystem::path(EXPERTSCOPE_RESOURCES) / "demo_model");
    const LinkSpec link = linkFor(decode(checkpoint, "resident", {}), decode(checkpoint, "on-demand", {}),
                                  static_cast<double>(state.range(0)) / 100);
    std::vector<double> speedups, waits;
    RunSummary onDemand, preGated;
    for (auto _ : state) {
        onDemand = decode(checkpoint, "on-demand", link);
        preGated = decode(checkpoint, "pre-gated", link);
        speedups.push_back(preGated.decodeTokensPerSecond / onDemand.decodeTokensPerSecond);
        waits.push_back(preGated.waitMs / onDemand.waitMs);
    }
    state.counters["link_MB/s"] = link.bytesPerSecond * 1e-6;
    state.counters["speedup"] = median(speedups);
    state.counters["wait"] = median(waits);
    state.counters["on_demand_tok/s"] = onDemand.decodeTokensPerSecond;
    state.counters["pre_gated_tok/s"] = preGated.decodeTokensPerSecond;
}
BENCHMARK(overlap)->Arg(800)->Arg(400)->Arg(200)->Arg(100)->Iterations(kPairs)->UseRealTime()->Unit(
    benchmark::kMillisecond);

}  // namespace
}  // namespace expertscope

BENCHMARK_MAIN();
