// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/analysis/routing/balance.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>

#include <fmt/format.h>

#include "profiler/analysis/number_text.h"

namespace expertscope {
namespace {

constexpr double kNoData = std::numeric_limits<double>::quiet_NaN();

std::vector<double> layerLoads(const RunRouting& routing, std::int32_t layer) {
    std::vector<double> loads(static_cast<std::size_t>(routing.experts()));
    for (const std::int32_t expert : routing.layer(layer).experts)
        if (expert >= 0) loads[static_cast<std::size_t>(expert)] += 1;
    if (!routing.counts().empty())
        for (std::size_t e = 0; e < loads.size(); ++e)
            loads[e] += routing.counts()[static_cast<std::size_t>(layer)][e];
    return loads;
}

/// Gate weight as applied, by expert; weights that are not known count nowhere.
std::vector<double> layerWeights(const RunRouting& routing, std::int32_t layer) {
    std::vector<double> sums(static_cast<std::size_t>(routing.experts()));
    const LayerChoices& choices = routing.layer(layer);
    for (std::size_t i = 0; i < choices.experts.size(); ++i) {
        if (choices.experts[i] < 0 || !std::isfinite(choices.weights[i])) continue;
        sums[static_cast<std::size_t>(choices.experts[i])] += static_cast<double>(choices.weights[i]);
    }
    return sums;
}

double sumOf(const std::vector<double>& values) { return std::accumulate(values.begin(), values.end(), 0.0); }

/// Tokens that the layer routed; where only sums are known, as many as have so many choices.
std::int64_t tokensOf(const RunRouting& routing, std::int32_t layer, double assignments) {
    if (routing.counts().empty()) return static_cast<std::int64_t>(routing.layer(layer).rows());
    return static_cast<std::int64_t>(std::llround(assignments / routing.topK()));
}

/// RunRouting::counted(), or what the sums are where there are no tokens.
std::string countedOf(const RunRouting& routing) {
    if (routing.counts().empty()) return routing.counted();
    double total = 0;
    for (const auto& layer : routing.counts())
        total += sumOf(layer);
    return fmt::format(
        "{} assignments of logical experts in {} layers, recorded as sums by expert without tokens; tokens "
        "are assignments / {}, and what needs their order is empty.",
        groupedNumber(static_cast<std::int64_t>(total)), routing.layers(), routing.topK());
}

double switchLoss(const std::vector<double>& loads, const std::vector<double>& weights) {
    const double total = sumOf(loads), mass = sumOf(weights);
    if (total <= 0 || mass <= 0) return kNoData;
    double sum = 0;
    for (std::size_t e = 0; e < loads.size(); ++e)
        sum += loads[e] / total * weights[e] / mass;
    return static_cast<double>(loads.size()) * sum;
}

double meanBatchMaxVio(const RunRouting& routing, std::int32_t layer, std::int32_t batchTokens) {
    const LayerChoices& choices = routing.layer(layer);
    const std::size_t batches = choices.rows() / static_cast<std::size_t>(batchTokens);
    const std::size_t perBatch = static_cast<std::size_t>(batchTokens) * static_cast<std::size_t>(choices.width);
    std::vector<std::int32_t> counts(static_cast<std::size_t>(routing.experts()));
    double sum = 0;
    std::int64_t counted = 0;
    for (std::size_t batch = 0; batch < batches; ++batch) {
        std::ranges::fill(counts, 0);
        std::int32_t total = 0, most = 0;
        for (std::size_t i = batch * perBatch; i < (batch + 1) * perBatch; ++i) {
            if (choices.experts[i] < 0) continue;
            most = std::max(most, ++counts[static_cast<std::size_t>(choices.experts[i])]);
            ++total;
        }
        if (total == 0) continue;
        sum += static_cast<double>(most) * routing.experts() / total - 1;
        ++counted;
    }
    return counted > 0 ? sum / static_cast<double>(counted) : kNoData;
}

AnalysisTable balanceTable(const AnalysisInput& input, Parameters& parameters) {
    BalanceOptions options;
    options.capacityFactor = parameters.number("capacity", options.capacityFactor, 0, 1e6);
    options.batchTokens = parameters.integer("batch", options.batchTokens, 1, 1 << 20);
    AnalysisTable table;
    table.counted = countedOf(*input.routing) + " Loads are assignments; shares are of a layer's assignments.";
    table.columns = {"layer",
                     "tokens",
                     "assignments",
                     "max_vio",
                     "batch_max_vio",
                     "cv",
                     "entropy_bits",
                     "entropy_norm",
                     "effective_experts",
                     "gini",
                     "max_share",
                     "hottest",
                     "used_experts",
                     "dead_experts",
                     "starved_experts",
                     "drop_rate",
                     "switch_loss",
                     "random_max_vio",
                     "random_cv",
                     "random_entropy_bits",
                     "random_effective_experts",
                     "random_gini",
                     "random_used_experts",
                     "random_drop_rate"};
    for (const LayerBalance& row : balanceOf(*input.routing, options)) {
        const bool any = row.assignments > 0;
        table.rows.push_back({std::int64_t{row.layer.value()},
                              row.tokens,
                              row.assignments,
                              row.load.maxVio,
                              row.batchMaxVio,
                              row.load.cv,
                              row.load.entropyBits,
                              row.load.normalisedEntropy,
                              row.load.effective,
                              row.load.gini,
                              row.load.maxShare,
                              any ? AnalysisCell{std::int64_t{row.load.fullest}} : AnalysisCell{},
                              std::int64_t{row.load.used},
                              std::int64_t{input.routing->experts() - row.load.used},
                              std::int64_t{row.load.starved},
                              row.dropRate,
                              row.switchLoss,
                              row.random.maxVio,
                              row.random.cv,
                              row.random.entropyBits,
                              row.random.effective,
                              row.random.gini,
                              row.random.used,
                              row.random.dropRate});
    }
    return table;
}

AnalysisTable loadTable(const AnalysisInput& input, Parameters&) {
    const RunRouting& routing = *input.routing;
    AnalysisTable table;
    table.counted = countedOf(routing) +
                    " share is of a layer's assignments and sums to 1, token_share of its tokens and sums to the "
                    "number of choices a token, weight_share of the gate weight as applied.";
    table.columns = {"layer",       "expert",       "assignments",   "share",
                     "token_share", "weight_share", "relative_load", "random_share"};
    for (std::int32_t layer = 0; layer < routing.layers(); ++layer) {
        const std::vector<double> loads = layerLoads(routing, layer), weights = layerWeights(routing, layer);
        const double total = sumOf(loads), mass = sumOf(weights);
        const auto tokens = static_cast<double>(tokensOf(routing, layer, total));
        for (std::size_t e = 0; e < loads.size(); ++e)
            table.rows.push_back({std::int64_t{layer}, static_cast<std::int64_t>(e),
                                  static_cast<std::int64_t>(loads[e]), loads[e] / total, loads[e] / tokens,
                                  weights[e] / mass, loads[e] * static_cast<double>(loads.size()) / total,
                                  1.0 / static_cast<double>(loads.size())});
    }
    return table;
}

}  // namespace

std::vector<std::vector<double>> loadsOf(const RunRouting& routing) {
    std::vector<std::vector<double>> loads;
    for (std::int32_t layer = 0; layer < routing.layers(); ++layer)
        loads.push_back(layerLoads(routing, layer));
    return loads;
}

std::vector<LayerBalance> balanceOf(const RunRouting& routing, const BalanceOptions& options) {
    std::map<std::int64_t, RandomBalance> random;  // layers mostly route equally many tokens
    std::vector<LayerBalance> rows;
    for (std::int32_t layer = 0; layer < routing.layers(); ++layer) {
        const std::vector<double> loads = layerLoads(routing, layer);
        LayerBalance& row = rows.emplace_back();
        row.layer = LayerIndex(layer);
        row.tokens = tokensOf(routing, layer, sumOf(loads));
        row.assignments = static_cast<std::int64_t>(sumOf(loads));
        row.load = loadBalance(loads);
        row.batchMaxVio = meanBatchMaxVio(routing, layer, options.batchTokens);
        row.dropRate = dropRate(loads, options.capacityFactor);
        row.switchLoss = switchLoss(loads, layerWeights(routing, layer));
        const auto [known, fresh] = random.try_emplace(row.tokens);
        if (fresh) known->second = randomBalance(row.tokens, routing.topK(), routing.experts(), options.capacityFactor);
        row.random = known->second;
    }
    return rows;
}

AnalysisInfo balanceAnalysis() {
    return {.name = "balance",
            .source = AnalysisSource::Routing,
            .parameters = "capacity=1.25, batch=64",
            .needs = "",
            .summary = "by layer: how evenly the experts are loaded, and what chance alone would make of it",
            .reference = "MaxVio: arXiv 2408.15664; Switch loss and drop rate: arXiv 2101.03961; CV: arXiv 1701.06538",
            .run = balanceTable,
            .takesCounts = true};
}

AnalysisInfo loadAnalysis() {
    return {.name = "load",
            .source = AnalysisSource::Routing,
            .parameters = "",
            .needs = "",
            .summary = "by layer and expert: assignments, shares, load relative to an even one",
            .reference = "Mixtral fig. 7 (arXiv 2401.04088); DeepSeek-V3 fig. 9 (arXiv 2412.19437)",
            .run = loadTable,
            .takesCounts = true};
}

}  // namespace expertscope
