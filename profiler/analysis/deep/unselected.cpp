// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/analysis/deep/unselected.h"

#include <cmath>

#include "profiler/analysis/deep/deep_tables.h"

namespace expertscope {
namespace {

AnalysisTable unselectedTable(const AnalysisInput& input, Parameters& parameters) {
    AnalysisTable table;
    table.counted =
        deepCounted(*input.deep) +
        " c sums score times output over the experts that a token chose, u over the others: what they would "
        "have added to a sum over all. cosine is of u and c, whole_cosine of c and c + u, across the part of "
        "u at right angles to c; means over tokens. random_score_mass: of a router that is indifferent.";
    table.columns = {"layer",        "tokens",     "score_mass", "random_score_mass",
                     "norm_ratio",   "norm_share", "cosine",     "random_cosine",
                     "whole_cosine", "across",     "growth"};
    for (const DeepLayer* layer : chosenDeepLayers(*input.deep, parameters)) {
        const UnselectedPart u = unselectedPart(*layer);
        table.rows.push_back({std::int64_t{layer->layer.value()}, static_cast<std::int64_t>(u.tokens), u.scoreMass,
                              1 - static_cast<double>(input.deep->topK) / layer->experts, u.normRatio, u.normShare,
                              u.cosine, 0.0, u.wholeCosine, u.across, u.growth});
    }
    return table;
}

AnalysisTable routerScoresTable(const AnalysisInput& input, Parameters& parameters) {
    AnalysisTable table;
    table.counted = deepCounted(*input.deep) +
                    " z_loss is the mean of (log Σ exp logits)², uniform_z_loss that of logits of 0; entropy of the "
                    "scores in bits, uniform_entropy_bits log2 E; logits are those by which the layer chose.";
    table.columns = {"layer",
                     "tokens",
                     "z_loss",
                     "uniform_z_loss",
                     "mean_log_sum",
                     "entropy_bits",
                     "uniform_entropy_bits",
                     "mean_top_score",
                     "uniform_score"};
    for (const DeepLayer* layer : chosenDeepLayers(*input.deep, parameters)) {
        const double tokens = static_cast<double>(layer->tokens), experts = layer->experts;
        table.rows.push_back({std::int64_t{layer->layer.value()}, layer->tokens, layer->router[0] / tokens,
                              std::log(experts) * std::log(experts), layer->router[1] / tokens,
                              layer->router[2] / tokens, std::log2(experts), layer->router[3] / tokens, 1 / experts});
    }
    return table;
}

}  // namespace

UnselectedPart unselectedPart(const DeepLayer& layer) {
    const std::vector<double>& sums = layer.unselected;
    const auto mean = [&](std::size_t i) { return meanOf(sums[i], sums[0]); };
    return {.tokens = sums[0],
            .scoreMass = mean(1),
            .normRatio = mean(2),
            .normShare = mean(3),
            .cosine = mean(4),
            .wholeCosine = mean(5),
            .across = mean(6),
            .growth = mean(7)};
}

AnalysisInfo unselectedAnalysis() {
    return {.name = "unselected",
            .source = AnalysisSource::Deep,
            .parameters = kDeepLayerParameter,
            .needs = "",
            .summary = "by layer: what the experts that were not chosen would have added",
            .reference = "the premise of HyperMoE, arXiv 2402.12656",
            .run = unselectedTable};
}

AnalysisInfo routerScoresAnalysis() {
    return {.name = "router-scores",
            .source = AnalysisSource::Deep,
            .parameters = kDeepLayerParameter,
            .needs = "",
            .summary = "by layer: router z-loss and the entropy of its scores",
            .reference = "ST-MoE, arXiv 2202.08906",
            .run = routerScoresTable};
}

}  // namespace expertscope
