// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/analysis/deep/deep_session.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "engine/base/error.h"
#include "storage/deep_arrays.h"

namespace expertscope {
namespace {

/// Of the array that holds what is not of a layer.
constexpr LayerIndex kNoLayer{-1};
constexpr const char* kOptions = "options";
/// 0 while the run goes on: a killed run leaves it. There since captures are kept while a run goes on.
constexpr const char* kComplete = "complete";
/// Rows that are given by what was kept, not by the model.
constexpr std::int64_t kAnyRows = -1;

/// Calls visit(name, values, rows, columns) for every array of a layer; docs/FORMAT.md explains the names.
void visitArrays(auto& layer, auto&& visit) {
    const std::int64_t experts = layer.experts, neurons = layer.neurons;
    visit("chosen", layer.chosen, 1, experts);
    visit("weight_sum", layer.weightSum, 1, experts);
    visit("score_sum", layer.scoreSum, 1, experts);
    visit("norm_sum", layer.normSum, 1, experts);
    visit("norm_max", layer.normMax, 1, experts);
    visit("chosen_norm_sum", layer.chosenNormSum, 1, experts);
    visit("chosen_square_sum", layer.chosenSquareSum, 1, experts);
    visit("weighted_norm_sum", layer.weightedNormSum, 1, experts);
    visit("output_max", layer.outputMax, 1, experts);
    visit("chosen_output_max", layer.chosenOutputMax, 1, experts);
    visit("rank_counts", layer.rankCounts, experts, experts);
    visit("pair_tokens", layer.pairTokens, experts, experts);
    visit("cosine_sum", layer.cosineSum, experts, experts);
    visit("angular_sum", layer.angularSum, experts, experts);
    visit("pair_classes", layer.pairClasses, 3, 3);
    visit("neuron_active", layer.neuronActive, experts, neurons);
    visit("neuron_sum", layer.neuronSum, experts, neurons);
    visit("chosen_active", layer.chosenActive, 1, experts);
    visit("unselected", layer.unselected, 1, 8);
    visit("router", layer.router, 1, 4);
    visit("hidden_max", layer.hiddenMax, 1, 1);
    visit("example_tokens", layer.exampleTokens, kAnyRows, 1);
    visit("example_scores", layer.exampleScores, kAnyRows, experts);
    visit("example_norms", layer.exampleNorms, kAnyRows, experts);
    visit("example_weights", layer.exampleWeights, kAnyRows, experts);
    visit("example_cosines", layer.exampleCosines, kAnyRows, experts * experts);
}

DeepArray optionsArray(const DeepAggregates& deep) {
    const DeepCaptureOptions& o = deep.options;
    return {.layer = kNoLayer,
            .name = kOptions,
            .rows = 1,
            .columns = 7,
            .values = {static_cast<double>(o.firstLayer.value()), static_cast<double>(o.lastLayer.value()),
                       static_cast<double>(o.firstToken.value()), static_cast<double>(o.lastToken.value()),
                       static_cast<double>(o.examples), static_cast<double>(deep.modelLayers),
                       static_cast<double>(deep.topK)}};
}

/// The arrays of one layer, by name.
using LayerArrays = std::map<std::string, DeepArray>;

class DeepReader {
public:
    DeepReader(const std::filesystem::path& session, RunId run) : m_session(session), m_run(run) {}

    DeepArray& take(LayerArrays& arrays, const std::string& name, LayerIndex layer) const {
        const auto found = arrays.find(name);
        if (found == arrays.end()) refuse(layer, name, "is missing");
        return found->second;
    }
    [[noreturn]] void refuse(LayerIndex layer, const std::string& name, const std::string& what) const {
        throw BadInputError(
            fmt::format("The deep capture of run {} in {} is damaged: the array {} of layer {} {}; "
                        "record the run again.",
                        m_run.value(), m_session.string(), name, layer.value(), what));
    }
    DeepLayer layer(LayerIndex index, LayerArrays& arrays) const;

private:
    const std::filesystem::path& m_session;
    RunId m_run;
};

DeepLayer DeepReader::layer(LayerIndex index, LayerArrays& arrays) const {
    DeepLayer layer;
    layer.layer = index;
    layer.experts = static_cast<std::int32_t>(take(arrays, "neuron_active", index).rows);
    layer.neurons = static_cast<std::int32_t>(take(arrays, "neuron_active", index).columns);
    layer.tokens = static_cast<std::int64_t>(take(arrays, "tokens", index).values.at(0));
    visitArrays(layer, [&](const char* name, std::vector<double>& values, std::int64_t rows, std::int64_t columns) {
        DeepArray& array = take(arrays, name, index);
        if (array.columns != columns || (rows != kAnyRows && array.rows != rows))
            refuse(index, name, fmt::format("has {} × {} numbers", array.rows, array.columns));
        values = std::move(array.values);
    });
    const std::size_t examples = layer.exampleTokens.size(), experts = static_cast<std::size_t>(layer.experts);
    const std::size_t matrices = std::min(examples, static_cast<std::size_t>(kDeepMatrixExamples));
    const bool fits = layer.exampleScores.size() == examples * experts &&
                      layer.exampleNorms.size() == examples * experts &&
                      layer.exampleWeights.size() == examples * experts &&
                      layer.exampleCosines.size() == matrices * experts * experts;
    if (!fits) refuse(index, "example_tokens", "fits no other of the examples");
    return layer;
}

}  // namespace

void keepDeepCapture(const std::filesystem::path& session, RunId run, const DeepAggregates& deep) {
    std::vector<DeepArray> arrays{optionsArray(deep), {kNoLayer, kComplete, 1, 1, {deep.complete ? 1.0 : 0.0}}};
    for (const DeepLayer& layer : deep.layers) {
        arrays.push_back({layer.layer, "tokens", 1, 1, {static_cast<double>(layer.tokens)}});
        visitArrays(
            layer, [&](const char* name, const std::vector<double>& values, std::int64_t rows, std::int64_t columns) {
                const auto count = static_cast<std::int64_t>(values.size());
                arrays.push_back({layer.layer, name, rows == kAnyRows ? count / columns : rows, columns, values});
            });
    }
    keepDeepArrays(session, run, arrays);
}

std::optional<DeepAggregates> readDeepCapture(const std::filesystem::path& session, RunId run) {
    std::map<LayerIndex, LayerArrays> layers;
    for (DeepArray& array : deepArrays(session, run))
        layers[array.layer].emplace(array.name, std::move(array));
    if (layers.empty()) return std::nullopt;
    const DeepReader reader(session, run);
    DeepAggregates deep;
    const std::vector<double>& options = reader.take(layers[kNoLayer], kOptions, kNoLayer).values;
    if (options.size() != 7) reader.refuse(kNoLayer, kOptions, "has not 7 numbers");
    const auto whole = [&](std::size_t i) { return static_cast<std::int32_t>(options[i]); };
    deep.options = {LayerIndex(whole(0)), LayerIndex(whole(1)), TokenIndex(whole(2)), TokenIndex(whole(3)), whole(4)};
    deep.modelLayers = whole(5);
    deep.topK = whole(6);
    if (const auto complete = layers[kNoLayer].find(kComplete); complete != layers[kNoLayer].end())
        deep.complete = complete->second.values.at(0) != 0;
    for (auto& [index, arrays] : layers)
        if (index != kNoLayer) deep.layers.push_back(reader.layer(index, arrays));
    return deep;
}

}  // namespace expertscope
