// SPDX-License-Identifier: GPL-3.0-or-later
// What the analyses of routing cost, on a made-up run of ten million selections and as many predictions: 48 layers that
// choose 8 of 128 experts, popular ones more often, half of them kept from the token before; 32 requests of 4 labels.
#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include "profiler/analysis/analysis_catalogue.h"

namespace expertscope {
namespace {

constexpr int kLayers = 48, kExperts = 128, kTopK = 8, kRequests = 32, kPrompt = 200;
constexpr int kTokens = 10'000'000 / (kLayers * kTopK) / kRequests * kRequests;
constexpr int kPerRequest = kTokens / kRequests;

struct Records {
    ModelFacts model;
    std::vector<RequestRecord> requests;
    std::vector<TokenRecord> tokens;
    std::vector<SelectionRecord> selections;
    std::vector<PredictionRecord> predictions;
};

void addRequests(Records& records, std::mt19937& random) {
    for (int r = 0; r < kRequests; ++r) {
        RequestRecord& request = records.requests.emplace_back();
        request.request = RequestIndex(r);
        request.label = "label " + std::to_string(r % 4);
        request.firstToken = TokenIndex(r * kPerRequest);
        request.promptTokens = kPrompt;
        for (int i = 0; i < kPerRequest; ++i) {
            TokenRecord& token = records.tokens.emplace_back();
            token.token = TokenIndex(r * kPerRequest + i);
            token.request = request.request;
            token.position = i;
            token.id = static_cast<std::int32_t>(std::pow(random() % 1000, 2) / 100);
            token.phase = i < kPrompt ? Phase::Prefill : Phase::Decode;
        }
    }
}

void addLayer(Records& records, int layer, int step, int token, std::vector<int>& last, std::mt19937& random,
              std::discrete_distribution<int>& rank) {
    std::vector<int> chosen;
    for (const int old : last)
        if (random() % 2 == 0) chosen.push_back(old);
    while (chosen.size() < kTopK) {
        const int expert = (rank(random) * 37 + layer * 11) % kExperts;
        if (std::ranges::find(chosen, expert) == chosen.end()) chosen.push_back(expert);
    }
    last = chosen;
    for (int slot = 0; slot < kTopK; ++slot) {
        SelectionRecord& record = records.selections.emplace_back();
        record.step = StepIndex(step);
        record.token = TokenIndex(token);
        record.layer = LayerIndex(layer);
        record.slot = slot;
        record.expert = ExpertId(chosen[static_cast<std::size_t>(slot)]);
        record.weight = 1.0F / static_cast<float>(slot + 2);
        if (layer == 0) continue;
        PredictionRecord& prediction = records.predictions.emplace_back();
        prediction.step = record.step;
        prediction.token = record.token;
        prediction.fromLayer = LayerIndex(layer - 1);
        prediction.targetLayer = record.layer;
        prediction.rank = slot;
        prediction.expert =
            ExpertId(random() % 4 == 0 ? (record.expert.value() + slot + 1) % kExperts : record.expert.value());
        prediction.predictor = PredictorKind::NextGate;
    }
}

Records makeRecords() {
    Records records;
    records.model.name = "made up";
    records.model.layers = kLayers;
    records.model.experts = kExperts;
    records.model.topK = kTopK;
    std::mt19937 random(7);
    addRequests(records, random);
    std::vector<double> weights;
    for (int e = 0; e < kExperts; ++e)
        weights.push_back(std::pow(e + 1, -0.6));
    std::discrete_distribution<int> rank(weights.begin(), weights.end());
    std::vector<std::vector<int>> last(kLayers);
    int step = -1;
    for (int token = 0; token < kTokens; ++token) {
        const int position = token % kPerRequest;
        if (position == 0 || position >= kPrompt) ++step;
        for (int layer = 0; layer < kLayers; ++layer)
            addLayer(records, layer, step, token, last[static_cast<std::size_t>(layer)], random, rank);
    }
    return records;
}

RunRouting build(const Records& records) {
    RunRoutingBuilder builder(records.model);
    builder.add(std::span<const SelectionRecord>(records.selections));
    builder.add(std::span<const PredictionRecord>(records.predictions));
    builder.add(std::span<const TokenRecord>(records.tokens));
    return builder.finish(records.requests);
}

const Records& records() {
    static const Records kRecords = makeRecords();
    return kRecords;
}

const RunRouting& routing() {
    static const RunRouting kRouting = build(records());
    return kRouting;
}

void fromRecords(benchmark::State& state) {
    records();
    for (auto _ : state)
        benchmark::DoNotOptimize(build(records()).assignments());
}
BENCHMARK(fromRecords)->Unit(benchmark::kMillisecond)->UseRealTime();

void analysis(benchmark::State& state, const std::string& text) {
    const AnalysisInput input{.routing = &routing(), .other = &routing(), .checkpoint = nullptr, .progress = {}};
    for (auto _ : state)
        benchmark::DoNotOptimize(runAnalysis(analysisInfo(analysisCatalogue(), text), text, input).rows.size());
    state.counters["selections"] = static_cast<double>(routing().assignments());
}

}  // namespace

/// Not at start-up: the catalogue may not be there yet.
void registerAnalyses() {
    const auto add = [](const std::string& text) {
        benchmark::RegisterBenchmark(text.c_str(), analysis, text)->Unit(benchmark::kMillisecond)->UseRealTime();
    };
    for (const AnalysisInfo& info : analysisCatalogue())
        if (info.source == AnalysisSource::Routing) add(info.name);
    add("balance:phase=decode");
    add("transition-information:pairs=all");
}

}  // namespace expertscope

int main(int argc, char** argv) {
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
    expertscope::registerAnalyses();
    benchmark::RunSpecifiedBenchmarks();
    benchmark::Shutdown();
    return 0;
}
