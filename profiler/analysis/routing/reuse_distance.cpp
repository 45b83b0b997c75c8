// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/analysis/routing/reuse_distance.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace expertscope {
namespace {

constexpr double kNoData = std::numeric_limits<double>::quiet_NaN();

struct LayerDistances {
    std::vector<std::int64_t> histogram;  ///< by distance
    std::vector<std::int32_t> uses;       ///< by expert
    std::int64_t total = 0;
};

LayerDistances distancesOf(const RunRouting& routing, std::int32_t l) {
    const LayerChoices& layer = routing.layer(l);
    LayerDistances result;
    result.histogram.resize(static_cast<std::size_t>(routing.tokenCount()) + 1);
    result.uses.resize(static_cast<std::size_t>(routing.experts()));
    std::vector<std::int32_t> lastUse(static_cast<std::size_t>(routing.experts()), -1);
    for (std::size_t row = 0; row < layer.rows(); ++row) {
        const std::int32_t token = layer.tokens[row];
        for (const std::int32_t expert : layer.chosen(row)) {
            if (expert < 0) continue;
            std::int32_t& last = lastUse[static_cast<std::size_t>(expert)];
            if (last >= 0) {
                ++result.histogram[static_cast<std::size_t>(token - last)];
                ++result.total;
            }
            last = token;
            ++result.uses[static_cast<std::size_t>(expert)];
        }
    }
    return result;
}

/// The smallest distance that at least `part` of all do not exceed.
std::int32_t percentile(const LayerDistances& distances, double part) {
    const double wanted = part * static_cast<double>(distances.total);
    std::int64_t passed = 0;
    for (std::size_t d = 1; d < distances.histogram.size(); ++d) {
        passed += distances.histogram[d];
        if (passed > 0 && static_cast<double>(passed) >= wanted) return static_cast<std::int32_t>(d);
    }
    return 0;
}

/// Of the geometric distribution with p = k / E.
std::int32_t randomPercentile(const RunRouting& routing, double part) {
    const double p = static_cast<double>(routing.topK()) / routing.experts();
    if (p >= 1) return 1;
    return std::max(1, static_cast<std::int32_t>(std::ceil(std::log(1 - part) / std::log1p(-p) - 1e-9)));
}

AnalysisTable distanceTable(const AnalysisInput& input, Parameters&) {
    AnalysisTable table;
    table.counted =
        input.routing->counted() + " Distances are in tokens of the run and go on over requests; first uses have none.";
    table.columns = {"layer",     "distances",  "p50",        "p90",        "mean",       "longest",
                     "used_once", "never_used", "random_p50", "random_p90", "random_mean"};
    for (const LayerReuse& row : reuseByLayer(*input.routing)) {
        const auto orNone = [&](std::int32_t value) {
            return row.distances > 0 ? AnalysisCell{std::int64_t{value}} : AnalysisCell{};
        };
        table.rows.push_back({std::int64_t{row.layer.value()}, row.distances, orNone(row.p50), orNone(row.p90),
                              row.mean, orNone(row.longest), std::int64_t{row.usedOnce}, std::int64_t{row.neverUsed},
                              std::int64_t{row.randomP50}, std::int64_t{row.randomP90}, row.randomMean});
    }
    return table;
}

AnalysisTable histogramTable(const AnalysisInput& input, Parameters& parameters) {
    const int layer = parameters.integer("layer", -1, 0, input.routing->layers() - 1);
    AnalysisTable table;
    table.counted = input.routing->counted() + " Distances are in tokens of the run and go on over requests.";
    table.columns = {"from", "to", "count", "share", "random_share"};
    for (const ReuseBin& bin : reuseHistogram(*input.routing, layer))
        table.rows.push_back({bin.from, bin.to, bin.count, bin.share, bin.randomShare});
    return table;
}

}  // namespace

std::vector<LayerReuse> reuseByLayer(const RunRouting& routing) {
    std::vector<LayerReuse> rows;
    for (std::int32_t l = 0; l < routing.layers(); ++l) {
        const LayerDistances distances = distancesOf(routing, l);
        LayerReuse& row = rows.emplace_back();
        row.layer = LayerIndex(l);
        row.distances = distances.total;
        row.p50 = percentile(distances, 0.5);
        row.p90 = percentile(distances, 0.9);
        double sum = 0;
        for (std::size_t d = 1; d < distances.histogram.size(); ++d) {
            if (distances.histogram[d] == 0) continue;
            sum += static_cast<double>(d) * static_cast<double>(distances.histogram[d]);
            row.longest = static_cast<std::int32_t>(d);
        }
        row.mean = distances.total > 0 ? sum / static_cast<double>(distances.total) : kNoData;
        row.usedOnce = static_cast<std::int32_t>(std::ranges::count(distances.uses, 1));
        row.neverUsed = static_cast<std::int32_t>(std::ranges::count(distances.uses, 0));
        row.randomP50 = randomPercentile(routing, 0.5);
        row.randomP90 = randomPercentile(routing, 0.9);
        row.randomMean = static_cast<double>(routing.experts()) / routing.topK();
    }
    return rows;
}

std::vector<ReuseBin> reuseHistogram(const RunRouting& routing, std::int32_t layer) {
    std::vector<std::int64_t> byDistance(static_cast<std::size_t>(routing.tokenCount()) + 1);
    std::int64_t total = 0;
    for (std::int32_t l = layer < 0 ? 0 : layer; l <= (layer < 0 ? routing.layers() - 1 : layer); ++l) {
        const LayerDistances distances = distancesOf(routing, l);
        total += distances.total;
        for (std::size_t d = 1; d < byDistance.size(); ++d)
            byDistance[d] += distances.histogram[d];
    }
    const double stays = 1 - static_cast<double>(routing.topK()) / routing.experts();
    std::vector<ReuseBin> bins;
    std::int64_t passed = 0;
    for (std::int64_t from = 1; passed < total; from *= 2) {
        ReuseBin& bin = bins.emplace_back();
        bin.from = from;
        bin.to = 2 * from - 1;
        for (std::int64_t d = from; d <= bin.to && d < std::ssize(byDistance); ++d)
            bin.count += byDistance[static_cast<std::size_t>(d)];
        passed += bin.count;
        bin.share = static_cast<double>(bin.count) / static_cast<double>(total);
        bin.randomShare =
            std::pow(stays, static_cast<double>(bin.from - 1)) - std::pow(stays, static_cast<double>(bin.to));
    }
    return bins;
}

AnalysisInfo reuseDistanceAnalysis() {
    return {.name = "reuse",
            .source = AnalysisSource::Routing,
            .parameters = "",
            .needs = "",
            .summary = "by layer: after how many tokens experts are chosen again",
            .reference = "BigMoeOnEdge route-analyze; baseline: the geometric distribution of uniform choices",
            .run = distanceTable};
}

AnalysisInfo reuseHistogramAnalysis() {
    return {.name = "reuse-histogram",
            .source = AnalysisSource::Routing,
            .parameters = "layer=all",
            .needs = "",
            .summary = "reuse distances in classes that double, of all layers or one",
            .reference = "BigMoeOnEdge route-analyze; baseline: the geometric distribution of uniform choices",
            .run = histogramTable};
}

}  // namespace expertscope
