// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/analysis/deep/expert_importance.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "engine/base/error.h"
#include "profiler/analysis/deep/deep_tables.h"

namespace expertscope {
namespace {

std::vector<double> perChosen(const DeepLayer& layer, const std::vector<double>& sums) {
    std::vector<double> means;
    for (std::size_t e = 0; e < sums.size(); ++e)
        means.push_back(meanOf(sums[e], layer.chosen[e]));
    return means;
}

const std::vector<ImportanceScore>& scores() {
    static const std::vector<ImportanceScore> kScores{
        {"frequency", "|X_e|: tokens that chose it (SEER's hard heavy-hitter count)", "SEER-MoE, arXiv 2404.05089",
         [](const DeepLayer& layer) { return layer.chosen; }},
        {"weighted_frequency", "Σ g over X_e", "REAP", [](const DeepLayer& layer) { return layer.weightSum; }},
        {"soft_count", "Σ s over all tokens (SEER's soft heavy-hitter count)", "SEER-MoE, arXiv 2404.05089",
         [](const DeepLayer& layer) { return layer.scoreSum; }},
        {"ean_sum", "Σ ‖f‖₂ over X_e", "MC-Suite; REAP", [](const DeepLayer& layer) { return layer.chosenNormSum; }},
        {"ean_mean", "mean ‖f‖₂ over X_e", "MC-Suite; MAN of arXiv 2606.15716",
         [](const DeepLayer& layer) { return perChosen(layer, layer.chosenNormSum); }},
        {"weighted_ean", "Σ g‖f‖₂ over X_e", "REAP", [](const DeepLayer& layer) { return layer.weightedNormSum; }},
        {"reap", "mean g‖f‖₂ over X_e", "REAP",
         [](const DeepLayer& layer) { return perChosen(layer, layer.weightedNormSum); }},
        {"msan", "mean ‖f‖₂² over X_e", "arXiv 2606.15716",
         [](const DeepLayer& layer) { return perChosen(layer, layer.chosenSquareSum); }},
        {"max_activation", "greatest |f_i| over X_e", "REAP; Super Experts, arXiv 2507.23279",
         [](const DeepLayer& layer) { return layer.chosenOutputMax; }},
    };
    return kScores;
}

/// Rank of each value, 1 = the first to go; of equals the lower expert first, and NaN (never chosen) before all.
std::vector<std::int64_t> ranksOf(const std::vector<double>& values) {
    std::vector<std::size_t> order(values.size());
    for (std::size_t i = 0; i < order.size(); ++i)
        order[i] = i;
    const auto worth = [&](std::size_t i) {
        return std::isnan(values[i]) ? -std::numeric_limits<double>::infinity() : values[i];
    };
    std::ranges::stable_sort(order, {}, worth);
    std::vector<std::int64_t> ranks(values.size());
    for (std::size_t r = 0; r < order.size(); ++r)
        ranks[order[r]] = static_cast<std::int64_t>(r) + 1;
    return ranks;
}

AnalysisTable importanceTable(const AnalysisInput& input, Parameters& parameters) {
    AnalysisTable table;
    table.counted = deepCounted(*input.deep) +
                    " X_e are the tokens that chose expert e, g the weight as applied, f its output, s its score: ";
    table.columns = {"layer", "expert", "token_share", "random_token_share"};
    for (const ImportanceScore& score : importanceScores()) {
        table.counted += fmt::format("{} {}; ", score.name, score.meaning);
        table.columns.push_back(score.name);
    }
    table.counted += "reap_rank 1 is the first to prune by REAP.";
    table.columns.emplace_back("reap_rank");
    for (const DeepLayer* layer : chosenDeepLayers(*input.deep, parameters)) {
        std::vector<std::vector<double>> values;
        for (const ImportanceScore& score : importanceScores())
            values.push_back(score.of(*layer));
        const std::vector<std::int64_t> ranks = ranksOf(importanceScore("reap").of(*layer));
        for (std::size_t e = 0; e < ranks.size(); ++e) {
            std::vector<AnalysisCell> row{std::int64_t{layer->layer.value()}, static_cast<std::int64_t>(e),
                                          layer->chosen[e] / static_cast<double>(layer->tokens),
                                          static_cast<double>(input.deep->topK) / layer->experts};
            for (const std::vector<double>& score : values)
                row.emplace_back(score[e]);
            row.emplace_back(ranks[e]);
            table.rows.push_back(std::move(row));
        }
    }
    return table;
}

/// The q-quantile of sorted values, linear between them as numpy's.
double quantileOf(const std::vector<double>& sorted, double q) {
    const double at = q * static_cast<double>(sorted.size() - 1);
    const auto below = static_cast<std::size_t>(at);
    const std::size_t above = std::min(below + 1, sorted.size() - 1);
    return sorted[below] + (at - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

/// What separates super experts from the others.
struct SuperLimits {
    double quantile = 0, tenth = 0;
    std::int32_t layers = 0;  ///< the first so many of the model
};

SuperLimits superLimits(std::span<const DeepLayer> layers, std::int32_t modelLayers) {
    std::vector<double> all;
    for (const DeepLayer& layer : layers)
        all.insert(all.end(), layer.chosenOutputMax.begin(), layer.chosenOutputMax.end());
    std::ranges::sort(all);
    if (all.empty()) return {};
    return {quantileOf(all, 0.995), all.back() / 10, static_cast<std::int32_t>(std::floor(0.75 * modelLayers))};
}

bool isSuper(const SuperLimits& limits, LayerIndex layer, double outputMax) {
    return outputMax > limits.quantile && outputMax > limits.tenth && layer.value() < limits.layers;
}

AnalysisTable superExpertsTable(const AnalysisInput& input, Parameters& parameters) {
    const SuperLimits limits = superLimits(input.deep->layers, input.deep->modelLayers);
    AnalysisTable table;
    table.counted = deepCounted(*input.deep) +
                    fmt::format(
                        " output_max is the greatest |value| of an expert's output over the tokens that chose "
                        "it (all_output_max: over all), hidden_max that of the residual stream after the layer. "
                        "A super expert is above {:.5g} (99.5 % of all experts taken are not), above {:.5g} (a "
                        "tenth of the greatest), and in the first {} layers (three quarters): {} are.",
                        limits.quantile, limits.tenth, limits.layers,
                        superExperts(input.deep->layers, input.deep->modelLayers).size());
    table.columns = {"layer",      "expert",      "output_max", "all_output_max", "relative_to_greatest",
                     "hidden_max", "super_expert"};
    for (const DeepLayer* layer : chosenDeepLayers(*input.deep, parameters))
        for (std::size_t e = 0; e < layer->chosenOutputMax.size(); ++e)
            table.rows.push_back({std::int64_t{layer->layer.value()}, static_cast<std::int64_t>(e),
                                  layer->chosenOutputMax[e], layer->outputMax[e],
                                  meanOf(layer->chosenOutputMax[e], limits.tenth * 10), layer->hiddenMax[0],
                                  std::int64_t{isSuper(limits, layer->layer, layer->chosenOutputMax[e]) ? 1 : 0}});
    return table;
}

}  // namespace

std::span<const ImportanceScore> importanceScores() { return scores(); }

const ImportanceScore& importanceScore(std::string_view name) {
    const auto found = std::ranges::find(scores(), name, &ImportanceScore::name);
    if (found != scores().end()) return *found;
    std::vector<std::string> names;
    for (const ImportanceScore& score : scores())
        names.push_back(score.name);
    throw UsageError(fmt::format("There is no importance score '{}': use one of {}.", name, fmt::join(names, ", ")));
}

std::vector<SuperExpert> superExperts(std::span<const DeepLayer> layers, std::int32_t modelLayers) {
    const SuperLimits limits = superLimits(layers, modelLayers);
    std::vector<SuperExpert> found;
    for (const DeepLayer& layer : layers)
        for (std::size_t e = 0; e < layer.chosenOutputMax.size(); ++e)
            if (isSuper(limits, layer.layer, layer.chosenOutputMax[e]))
                found.push_back({{layer.layer, ExpertId(static_cast<std::int32_t>(e))}, layer.chosenOutputMax[e]});
    std::ranges::sort(found, std::greater<>(), &SuperExpert::outputMax);
    return found;
}

AnalysisInfo importanceAnalysis() {
    return {.name = "importance",
            .source = AnalysisSource::Deep,
            .parameters = kDeepLayerParameter,
            .needs = "",
            .summary = "by layer and expert: how much it matters, by every score that pruning goes by",
            .reference = "REAP; SEER-MoE, arXiv 2404.05089; MC-Suite; arXiv 2606.15716",
            .run = importanceTable};
}

AnalysisInfo superExpertsAnalysis() {
    return {.name = "super-experts",
            .source = AnalysisSource::Deep,
            .parameters = kDeepLayerParameter,
            .needs = "",
            .summary = "by layer and expert: greatest output values, and which are super experts",
            .reference = "Super Experts, arXiv 2507.23279",
            .run = superExpertsTable};
}

}  // namespace expertscope
