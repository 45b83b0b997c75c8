// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/analysis/deep/deep_tables.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include <fmt/format.h>

#include "engine/base/error.h"

namespace expertscope {

std::string deepCounted(const DeepAggregates& deep) {
    const bool any = std::ranges::any_of(deep.layers, [](const DeepLayer& layer) { return layer.tokens > 0; });
    if (!any) return "Nothing was counted: the run took no token that the deep capture asked for.";
    const DeepLayer& first = deep.layers.front();
    const char* const part =
        deep.complete ? "" : "the run had not ended when this was kept, so that later tokens are missing; ";
    return fmt::format(
        "Every expert ran on the true inputs of {} tokens, prompt and generated, in {} of {} layers: {} experts of {} "
        "neurons each, {} chosen a token; {}outputs are those before weighting, scores are softmax probabilities of "
        "all "
        "experts.",
        first.tokens, deep.layers.size(), deep.modelLayers, first.experts, first.neurons, deep.topK, part);
}

std::vector<const DeepLayer*> chosenDeepLayers(const DeepAggregates& deep, Parameters& parameters) {
    const int most = deep.layers.empty() ? std::numeric_limits<int>::max() : deep.modelLayers - 1;
    const LayerIndex wanted(parameters.integer("layer", -1, -1, most));
    if (deep.layers.empty()) return {};
    std::vector<const DeepLayer*> layers;
    bool captured = wanted.value() < 0;
    for (const DeepLayer& layer : deep.layers) {
        if (wanted.value() >= 0 && layer.layer != wanted) continue;
        captured = true;
        if (layer.tokens > 0) layers.push_back(&layer);
    }
    if (!captured)
        throw UsageError(fmt::format("Layer {} was not captured: this run's deep capture took the layers {} to {}.",
                                     wanted.value(), deep.options.firstLayer.value(), deep.options.lastLayer.value()));
    return layers;
}

double meanOf(double sum, double count) { return count > 0 ? sum / count : std::numeric_limits<double>::quiet_NaN(); }

double totalOf(const std::vector<double>& values) { return std::reduce(values.begin(), values.end(), 0.0); }

}  // namespace expertscope
