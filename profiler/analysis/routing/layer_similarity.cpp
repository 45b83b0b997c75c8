// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/analysis/routing/layer_similarity.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "profiler/analysis/routing/balance.h"

namespace expertscope {
namespace {

constexpr double kNoData = std::numeric_limits<double>::quiet_NaN();

double sum(std::span<const double> values) { return std::accumulate(values.begin(), values.end(), 0.0); }

double norm(std::span<const double> values) {
    return std::sqrt(std::inner_product(values.begin(), values.end(), values.begin(), 0.0));
}

std::vector<double> ranks(std::span<const double> values) {
    std::vector<std::size_t> order(values.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::ranges::sort(order, {}, [&](std::size_t i) { return values[i]; });
    std::vector<double> result(values.size());
    for (std::size_t begin = 0, end = 0; begin < order.size(); begin = end) {
        while (end < order.size() && values[order[end]] == values[order[begin]])
            ++end;
        for (std::size_t i = begin; i < end; ++i)
            result[order[i]] = 0.5 * static_cast<double>(begin + end - 1);
    }
    return result;
}

AnalysisTable similarityTable(const AnalysisInput& input, Parameters&) {
    AnalysisTable table;
    table.counted = input.routing->counted() +
                    " Loads are assignments by expert number; random_cosine is expected of experts numbered at random.";
    table.columns = {"layer", "other_layer", "distance", "cosine", "spearman", "random_cosine"};
    for (const LayerSimilarity& row : layerSimilarities(*input.routing))
        table.rows.push_back({std::int64_t{row.layer.value()}, std::int64_t{row.other.value()},
                              std::int64_t{row.other.value() - row.layer.value()}, row.cosine, row.spearman,
                              row.randomCosine});
    return table;
}

AnalysisTable distanceTable(const AnalysisInput& input, Parameters&) {
    struct Sums {
        std::int64_t pairs = 0;
        double cosine = 0, spearman = 0, random = 0;
    };
    std::vector<Sums> byDistance(static_cast<std::size_t>(input.routing->layers()));
    for (const LayerSimilarity& row : layerSimilarities(*input.routing)) {
        if (!std::isfinite(row.cosine)) continue;
        Sums& sums = byDistance[static_cast<std::size_t>(row.other.value() - row.layer.value())];
        ++sums.pairs;
        sums.cosine += row.cosine;
        sums.spearman += row.spearman;
        sums.random += row.randomCosine;
    }
    AnalysisTable table;
    table.counted = input.routing->counted() + " Means over all pairs of layers that lie so far apart and have loads.";
    table.columns = {"distance", "pairs", "cosine", "spearman", "random_cosine"};
    for (std::size_t d = 1; d < byDistance.size(); ++d) {
        const Sums& sums = byDistance[d];
        const auto pairs = static_cast<double>(sums.pairs);
        table.rows.push_back({static_cast<std::int64_t>(d), sums.pairs, sums.cosine / pairs, sums.spearman / pairs,
                              sums.random / pairs});
    }
    return table;
}

}  // namespace

double cosine(std::span<const double> a, std::span<const double> b) {
    const double lengths = norm(a) * norm(b);
    return lengths > 0 ? std::inner_product(a.begin(), a.end(), b.begin(), 0.0) / lengths : kNoData;
}

double spearman(std::span<const double> a, std::span<const double> b) {
    std::vector<double> x = ranks(a), y = ranks(b);
    for (auto* side : {&x, &y}) {
        const double mean = sum(*side) / static_cast<double>(side->size());
        for (double& rank : *side)
            rank -= mean;
    }
    return cosine(x, y);
}

std::vector<LayerSimilarity> layerSimilarities(const RunRouting& routing) {
    const std::vector<std::vector<double>> loads = loadsOf(routing);
    std::vector<LayerSimilarity> rows;
    for (std::size_t l = 0; l < loads.size(); ++l) {
        for (std::size_t m = l + 1; m < loads.size(); ++m) {
            LayerSimilarity& row = rows.emplace_back();
            row.layer = LayerIndex(static_cast<std::int32_t>(l));
            row.other = LayerIndex(static_cast<std::int32_t>(m));
            row.cosine = cosine(loads[l], loads[m]);
            row.spearman = std::isfinite(row.cosine) ? spearman(loads[l], loads[m]) : kNoData;
            const double lengths = norm(loads[l]) * norm(loads[m]);
            row.randomCosine = lengths > 0 ? sum(loads[l]) * sum(loads[m]) / (routing.experts() * lengths) : kNoData;
        }
    }
    return rows;
}

AnalysisInfo layerSimilarityAnalysis() {
    return {.name = "layer-similarity",
            .source = AnalysisSource::Routing,
            .parameters = "",
            .needs = "",
            .summary = "by pair of layers: cosine and rank correlation of their loads",
            .reference = "own; baseline: the expectation over all numberings of the experts",
            .run = similarityTable};
}

AnalysisInfo layerDistanceAnalysis() {
    return {.name = "layer-distance",
            .source = AnalysisSource::Routing,
            .parameters = "",
            .needs = "",
            .summary = "by distance of layers: mean similarity of their loads, which shows periods",
            .reference = "own; baseline: the expectation over all numberings of the experts",
            .run = distanceTable};
}

}  // namespace expertscope
