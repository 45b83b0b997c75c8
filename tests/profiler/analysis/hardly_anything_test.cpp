// SPDX-License-Identifier: GPL-3.0-or-later
// Every analysis of the catalogue on input that is hardly any: an answer or a sentence, never a wrong number.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <string>

#include <gmock/gmock.h>

#include "engine/compute/kernels.h"
#include "engine/compute/thread_pool.h"
#include "engine/inference/deep_sums.h"
#include "tests/profiler/analysis/tiny_model.h"
#include "tests/profiler/analysis/trace_fixture.h"

namespace expertscope {
namespace {

constexpr float kNone = std::numeric_limits<float>::quiet_NaN();

/// Shares and rates lie between 0 and 1, and what is like a correlation between −1 and 1, whatever the input.
std::pair<double, double> boundsOf(const std::string& column) {
    constexpr std::array kParts{"share",      "rate",         "part_of_all", "top_overlap", "exact_rate",
                                "drop_rate",  "recall",       "precision",   "saturation",  "first_choice",
                                "any_choice", "entropy_norm", "balancedness"};
    constexpr std::array kAlike{"cosine", "spearman", "similarity", "kendall", "tau", "_r"};
    const auto ends = [&](const char* end) { return column.ends_with(end); };
    if (std::ranges::any_of(kAlike, ends)) return {-1, 1};
    if (std::ranges::any_of(kParts, ends)) return {0, 1};
    return {-std::numeric_limits<double>::infinity(), std::numeric_limits<double>::infinity()};
}

void expectSensible(const AnalysisTable& table, const std::string& what) {
    EXPECT_FALSE(table.counted.empty()) << what;
    EXPECT_FALSE(table.columns.empty()) << what;
    for (const auto& row : table.rows) {
        ASSERT_EQ(row.size(), table.columns.size()) << what;
        for (std::size_t c = 0; c < row.size(); ++c) {
            const auto* const value = std::get_if<double>(&row[c]);
            if (value == nullptr || !std::isfinite(*value)) continue;
            const auto [least, most] = boundsOf(table.columns[c]);
            EXPECT_GE(*value, least - 1e-9) << what << ", " << table.columns[c];
            EXPECT_LE(*value, most + 1e-9) << what << ", " << table.columns[c];
        }
    }
}

void expectSensible(AnalysisSource source, const AnalysisInput& input, const std::string& of) {
    int asked = 0;
    for (const AnalysisInfo& info : analysisCatalogue()) {
        if (info.source != source) continue;
        expectSensible(runAnalysis(info, info.name, input), info.name + " of " + of);
        ++asked;
    }
    EXPECT_GT(asked, 10);
}

struct Shape {
    int layers, experts, topK;
};

RunRouting routingOf(const Shape& shape, const std::vector<SelectionRecord>& selections) {
    ModelFacts model;
    model.layers = shape.layers;
    model.experts = shape.experts;
    model.topK = shape.topK;
    RunRoutingBuilder builder(model);
    builder.add(std::span<const SelectionRecord>(selections));
    return builder.finish({});
}

TEST(HardlyAnything, OfRoutingGivesAnAnswerOrASentence) {
    std::vector<SelectionRecord> alike, partial, dropped;
    for (int t = 0; t < 12; ++t) {
        for (int slot = 0; slot < 2; ++slot) {
            alike.push_back(selection(t, t, 0, slot, slot));
            partial.push_back(selection(t, t, 0, slot, (t * 3 + slot) % 6, 0.5F));
            if (t % 4 == 0) partial.push_back(selection(t, t, 1, slot, (t + slot) % 6, slot == 0 ? kNone : 0.25F));
            dropped.push_back(selection(t, t, 0, slot, (t + slot) % 6, 0));
            dropped.back().action = SelectionAction::Dropped;
        }
    }
    const std::map<std::string, RunRouting> runs{
        {"nothing", routingOf({2, 8, 2}, {})},
        {"a single token", routingOf({2, 8, 2}, {selection(0, 0, 0, 0, 3), selection(0, 0, 0, 1, 5)})},
        {"a single expert", routingOf({1, 1, 1}, {selection(0, 0, 0, 0, 0), selection(1, 1, 0, 0, 0)})},
        {"weights that are not known",
         routingOf({1, 4, 1}, {selection(0, 0, 0, 0, 1, kNone), selection(1, 1, 0, 0, 2, kNone)})},
        {"weights of zero", routingOf({1, 4, 1}, {selection(0, 0, 0, 0, 1, 0), selection(1, 1, 0, 0, 2, 0)})},
        {"tokens that are all routed alike", routingOf({1, 6, 2}, alike)},
        {"a last layer that is missing", routingOf({3, 6, 2}, partial)},
        {"choices that were all dropped", routingOf({1, 6, 2}, dropped)}};
    for (const auto& [name, routing] : runs) {
        AnalysisInput input;
        input.routing = &routing;
        input.other = &routing;
        expectSensible(AnalysisSource::Routing, input, name);
    }
}

/// A layer's sums over tokens, each of whose experts gives `output` times its number; `chosen` of them are chosen.
DeepLayer deepLayer(int layer, int tokens, int experts, int chosen, float output) {
    constexpr int kHidden = 4, kNeurons = 3;
    DeepLayer made = emptyDeepLayer(LayerIndex(layer), experts, kNeurons);
    std::vector<std::int32_t> index;
    std::vector<float> logits, weights, outputs;
    for (int t = 0; t < tokens; ++t) {
        index.push_back(t);
        for (int e = 0; e < experts; ++e) {
            logits.push_back(static_cast<float>((e + t) % experts));
            weights.push_back(e < chosen ? 1.0F / static_cast<float>(chosen) : kNone);
            for (int i = 0; i < kHidden; ++i)
                outputs.push_back(output * static_cast<float>(e + 1) * static_cast<float>(i == e % kHidden ? 2 : 1));
        }
    }
    ThreadPool pool(1);
    DeepSums sums(ParallelMath(Kernels::reference(), pool), experts, kHidden);
    if (tokens > 0)
        sums.add({.tokens = tokens,
                  .experts = experts,
                  .hidden = kHidden,
                  .index = index,
                  .logits = logits,
                  .weights = weights,
                  .outputs = outputs},
                 16, made);
    return made;
}

TEST(HardlyAnything, OfADeepCaptureGivesAnAnswerOrASentence) {
    const std::map<std::string, std::vector<DeepLayer>> captures{
        {"no layer", {}},
        {"no token", {deepLayer(0, 0, 4, 2, 1)}},
        {"a single token", {deepLayer(0, 1, 4, 2, 1)}},
        {"a single expert", {deepLayer(0, 5, 1, 1, 1)}},
        {"experts that nobody chose", {deepLayer(0, 5, 4, 0, 1)}},
        {"experts that everybody chose", {deepLayer(0, 5, 4, 4, 1)}},
        {"outputs of zero", {deepLayer(0, 5, 4, 2, 0)}},
        {"a last layer that is missing", {deepLayer(0, 5, 4, 2, 1), deepLayer(1, 0, 4, 2, 1)}}};
    for (const auto& [name, layers] : captures) {
        DeepAggregates deep;
        deep.modelLayers = 3;
        deep.topK = layers.empty() ? 2 : std::min(2, layers.front().experts);
        deep.layers = layers;
        deep.complete = false;
        AnalysisInput input;
        input.deep = &deep;
        expectSensible(AnalysisSource::Deep, input, name);
    }
}

TEST(HardlyAnything, OfWeightsGivesAnAnswerOrASentence) {
    const auto isOfExperts = [](const test::RawTensor& tensor) {
        return tensor.name.find(".mlp.") != std::string::npos;
    };
    const test::TinyQwen3Moe few{.layers = 1};
    const TinyModel single({.layers = 1, .experts = 1, .topK = 1}), pair({.layers = 1, .experts = 2, .topK = 1});
    const TinyModel zeros(few, [&](test::RawTensor& tensor) {
        if (isOfExperts(tensor)) std::ranges::fill(tensor.data, '\0');
    });
    const TinyModel broken(few, [&](test::RawTensor& tensor) {
        if (isOfExperts(tensor)) setFirst(tensor, kNone);
    });
    const TinyModel endless(few, [&](test::RawTensor& tensor) {
        if (isOfExperts(tensor)) setFirst(tensor, std::numeric_limits<float>::infinity());
    });
    const std::map<std::string, const TinyModel*> models{{"a single expert", &single},
                                                         {"two experts", &pair},
                                                         {"weights of zero", &zeros},
                                                         {"weights that are no numbers", &broken},
                                                         {"weights without end", &endless}};
    for (const auto& [name, model] : models) {
        const Checkpoint checkpoint = model->open();
        AnalysisInput input;
        input.checkpoint = &checkpoint;
        expectSensible(AnalysisSource::Checkpoint, input, name);
    }
}

}  // namespace
}  // namespace expertscope
