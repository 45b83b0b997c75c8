// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/analysis/deep/neuron_activity.h"

#include <algorithm>
#include <span>

#include <fmt/format.h>

#include "profiler/analysis/deep/deep_tables.h"

namespace expertscope {
namespace {

std::string activationsCounted(const AnalysisInput& input) {
    return deepCounted(*input.deep) +
           fmt::format(
               " a is the activation of a neuron's gate row, before the product with its up row; active: |a| > {}.",
               kDeepActive);
}

std::span<const double> rowOf(const DeepLayer& layer, const std::vector<double>& values, std::size_t expert) {
    const auto neurons = static_cast<std::size_t>(layer.neurons);
    return std::span(values).subspan(expert * neurons, neurons);
}

double sumOf(std::span<const double> values) {
    double sum = 0;
    for (const double value : values)
        sum += value;
    return sum;
}

double part(std::span<const double> values, double wanted) {
    return meanOf(static_cast<double>(std::ranges::count(values, wanted)), static_cast<double>(values.size()));
}

AnalysisTable activationsTable(const AnalysisInput& input, Parameters& parameters) {
    AnalysisTable table;
    table.counted = activationsCounted(input) +
                    " expert_share and neuron_share are the parts of the variance of the neurons' mean |a| that lie "
                    "between experts and between neuron numbers; random_: for numbers dealt out at random.";
    table.columns = {"layer",
                     "active",
                     "chosen_active",
                     "never_active",
                     "mean_activation",
                     "expert_share",
                     "random_expert_share",
                     "neuron_share",
                     "random_neuron_share"};
    for (const DeepLayer* layer : chosenDeepLayers(*input.deep, parameters)) {
        const NeuronActivity a = neuronActivity(*layer);
        table.rows.push_back({std::int64_t{layer->layer.value()}, a.active, a.chosenActive, a.never, a.meanSize,
                              a.expertShare, a.randomExpertShare, a.neuronShare, a.randomNeuronShare});
    }
    return table;
}

AnalysisTable expertActivationsTable(const AnalysisInput& input, Parameters& parameters) {
    AnalysisTable table;
    table.counted = activationsCounted(input);
    table.columns = {"layer", "expert", "active", "chosen_active", "never_active", "always_active", "mean_activation"};
    for (const DeepLayer* layer : chosenDeepLayers(*input.deep, parameters)) {
        const double tokens = static_cast<double>(layer->tokens), cells = tokens * layer->neurons;
        for (std::size_t e = 0; e < static_cast<std::size_t>(layer->experts); ++e) {
            const auto actives = rowOf(*layer, layer->neuronActive, e);
            table.rows.push_back({std::int64_t{layer->layer.value()}, static_cast<std::int64_t>(e),
                                  sumOf(actives) / cells,
                                  meanOf(layer->chosenActive[e], layer->chosen[e] * layer->neurons), part(actives, 0),
                                  part(actives, tokens), sumOf(rowOf(*layer, layer->neuronSum, e)) / cells});
        }
    }
    return table;
}

AnalysisTable neuronActivationsTable(const AnalysisInput& input, Parameters& parameters) {
    AnalysisTable table;
    table.counted = activationsCounted(input);
    table.columns = {"layer", "expert", "neuron", "active", "mean_activation"};
    for (const DeepLayer* layer : chosenDeepLayers(*input.deep, parameters)) {
        const double tokens = static_cast<double>(layer->tokens);
        const auto neurons = static_cast<std::size_t>(layer->neurons);
        for (std::size_t i = 0; i < layer->neuronSum.size(); ++i)
            table.rows.push_back({std::int64_t{layer->layer.value()}, static_cast<std::int64_t>(i / neurons),
                                  static_cast<std::int64_t>(i % neurons), layer->neuronActive[i] / tokens,
                                  layer->neuronSum[i] / tokens});
    }
    return table;
}

AnalysisInfo activationInfo(const char* name, const char* summary,
                            AnalysisTable (*run)(const AnalysisInput&, Parameters&)) {
    return {.name = name,
            .source = AnalysisSource::Deep,
            .parameters = kDeepLayerParameter,
            .needs = "",
            .summary = summary,
            .reference = "A Closer Look into Mixture-of-Experts, arXiv 2406.18219",
            .run = run};
}

}  // namespace

NeuronActivity neuronActivity(const DeepLayer& layer) {
    const auto experts = static_cast<std::size_t>(layer.experts), neurons = static_cast<std::size_t>(layer.neurons);
    const double cells = static_cast<double>(layer.neuronSum.size()), tokens = static_cast<double>(layer.tokens);
    NeuronActivity activity;
    activity.active = meanOf(totalOf(layer.neuronActive), cells * tokens);
    activity.chosenActive = meanOf(totalOf(layer.chosenActive), totalOf(layer.chosen) * layer.neurons);
    activity.never = part(layer.neuronActive, 0);
    activity.meanSize = meanOf(totalOf(layer.neuronSum), cells * tokens);
    const double mean = meanOf(totalOf(layer.neuronSum), cells);
    double all = 0, between = 0, across = 0;
    std::vector<double> byNeuron(neurons);
    for (std::size_t e = 0; e < experts; ++e) {
        const auto row = rowOf(layer, layer.neuronSum, e);
        const double distance = sumOf(row) / static_cast<double>(neurons) - mean;
        between += static_cast<double>(neurons) * distance * distance;
        for (std::size_t i = 0; i < neurons; ++i) {
            all += (row[i] - mean) * (row[i] - mean);
            byNeuron[i] += row[i];
        }
    }
    for (const double sum : byNeuron) {
        const double distance = sum / static_cast<double>(experts) - mean;
        across += static_cast<double>(experts) * distance * distance;
    }
    activity.expertShare = meanOf(between, all);
    activity.neuronShare = meanOf(across, all);
    activity.randomExpertShare = meanOf(static_cast<double>(experts) - 1, cells - 1);
    activity.randomNeuronShare = meanOf(static_cast<double>(neurons) - 1, cells - 1);
    return activity;
}

AnalysisInfo activationsAnalysis() {
    return activationInfo("activations", "by layer: how many neurons are active, and what their activity follows",
                          activationsTable);
}
AnalysisInfo expertActivationsAnalysis() {
    return activationInfo("expert-activations", "by layer and expert: how many of its neurons are active",
                          expertActivationsTable);
}
AnalysisInfo neuronActivationsAnalysis() {
    return activationInfo("neuron-activations", "by layer, expert and neuron: how often and how strongly it is active",
                          neuronActivationsTable);
}

}  // namespace expertscope
