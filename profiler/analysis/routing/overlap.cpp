// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/analysis/routing/overlap.h"

#include <algorithm>
#include <limits>
#include <optional>

#include "profiler/analysis/routing/expert_marks.h"

namespace expertscope {
namespace {

constexpr double kNoData = std::numeric_limits<double>::quiet_NaN();

double ratio(double part, double whole) { return whole > 0 ? part / whole : kNoData; }

/// The row of the token `lag` before that of `row`, where the layer routed it and it is of the same request.
std::optional<std::size_t> rowBefore(const RunRouting& routing, const LayerChoices& layer, std::size_t row,
                                     std::int32_t lag) {
    const std::int32_t wanted = layer.tokens[row] - lag;
    std::size_t at = row > static_cast<std::size_t>(lag) ? row - static_cast<std::size_t>(lag) : 0;
    while (layer.tokens[at] < wanted)
        ++at;
    if (layer.tokens[at] != wanted || !routing.sameRequest(wanted, layer.tokens[row])) return std::nullopt;
    return at;
}

double popularityOnly(const RunRouting& routing, const LayerChoices& layer, const std::vector<bool>& complete) {
    std::vector<double> counts(static_cast<std::size_t>(routing.experts()));
    double rows = 0, squares = 0;
    for (std::size_t row = 0; row < layer.rows(); ++row) {
        if (!complete[row]) continue;
        rows += 1;
        for (const std::int32_t expert : layer.chosen(row))
            counts[static_cast<std::size_t>(expert)] += 1;
    }
    for (const double count : counts)
        squares += count * count;
    return ratio(squares, rows * rows * layer.width);
}

std::vector<bool> completeRows(const LayerChoices& layer) {
    std::vector<bool> complete(layer.rows());
    for (std::size_t row = 0; row < layer.rows(); ++row)
        complete[row] = layer.complete(row);
    return complete;
}

AnalysisTable overlapTable(const AnalysisInput& input, Parameters& parameters) {
    const int longest = parameters.integer("longest", 64, 1, 1 << 20);
    AnalysisTable table;
    table.counted =
        input.routing->counted() + " Pairs are of tokens of one request, all of whose choices in the layer are known.";
    table.columns = {"layer", "lag", "pairs", "overlap", "random", "popularity_only"};
    for (const LayerOverlap& row : overlapsOf(*input.routing, longest))
        table.rows.push_back({std::int64_t{row.layer.value()}, std::int64_t{row.lag}, row.pairs, row.overlap,
                              row.random, row.popularityOnly});
    return table;
}

AnalysisTable repetitionTable(const AnalysisInput& input, Parameters&) {
    AnalysisTable table;
    table.counted = input.routing->counted() + " Pairs are of consecutive tokens of one request.";
    table.columns = {"layer", "pairs", "first_choice", "any_choice", "random_first_choice", "random_any_choice"};
    for (const LayerRepetition& row : repetitionOf(*input.routing))
        table.rows.push_back(
            {std::int64_t{row.layer.value()}, row.anyPairs, row.first, row.any, row.randomFirst, row.randomAny});
    return table;
}

}  // namespace

double randomAnyOverlap(std::int32_t experts, std::int32_t choices) {
    double none = 1;  // C(E − k, k) / C(E, k), factor by factor
    for (std::int32_t i = 0; i < choices; ++i)
        none *= std::max(0.0, static_cast<double>(experts - choices - i)) / static_cast<double>(experts - i);
    return 1 - none;
}

std::vector<LayerOverlap> overlapsOf(const RunRouting& routing, std::int32_t longestLag) {
    std::vector<LayerOverlap> rows;
    ExpertMarks marks(routing.experts());
    for (std::int32_t l = 0; l < routing.layers(); ++l) {
        const LayerChoices& layer = routing.layer(l);
        const std::vector<bool> complete = completeRows(layer);
        const std::size_t first = rows.size();
        for (std::int64_t lag = 1; lag <= longestLag; lag *= 2)
            rows.push_back({.layer = LayerIndex(l), .lag = static_cast<std::int32_t>(lag), .pairs = 0, .overlap = 0});
        for (std::size_t row = 0; row < layer.rows(); ++row) {
            if (!complete[row]) continue;
            marks.clear();
            marks.insertAll(layer.chosen(row));
            for (std::size_t i = first; i < rows.size(); ++i) {
                const auto before = rowBefore(routing, layer, row, rows[i].lag);
                if (!before || !complete[*before]) continue;
                ++rows[i].pairs;
                rows[i].overlap += marks.shared(layer.chosen(*before));
            }
        }
        const double popularity = popularityOnly(routing, layer, complete);
        for (std::size_t i = first; i < rows.size(); ++i) {
            rows[i].overlap = ratio(rows[i].overlap, static_cast<double>(rows[i].pairs) * layer.width);
            rows[i].random = static_cast<double>(routing.topK()) / routing.experts();
            rows[i].popularityOnly = popularity;
        }
    }
    return rows;
}

std::vector<LayerRepetition> repetitionOf(const RunRouting& routing) {
    std::vector<LayerRepetition> rows;
    ExpertMarks marks(routing.experts());
    for (std::int32_t l = 0; l < routing.layers(); ++l) {
        const LayerChoices& layer = routing.layer(l);
        LayerRepetition& result = rows.emplace_back();
        result.layer = LayerIndex(l);
        result.randomFirst = 1.0 / routing.experts();
        result.randomAny = randomAnyOverlap(routing.experts(), routing.topK());
        for (std::size_t row = 1; row < layer.rows(); ++row) {
            const auto before = rowBefore(routing, layer, row, 1);
            if (!before) continue;
            const auto then = layer.chosen(*before), now = layer.chosen(row);
            if (then[0] >= 0 && now[0] >= 0) {
                ++result.firstPairs;
                result.first += then[0] == now[0] ? 1 : 0;
            }
            if (!layer.complete(*before) || !layer.complete(row)) continue;
            ++result.anyPairs;
            marks.clear();
            marks.insertAll(now);
            result.any += marks.shared(then) > 0 ? 1 : 0;
        }
        result.first = ratio(result.first, static_cast<double>(result.firstPairs));
        result.any = ratio(result.any, static_cast<double>(result.anyPairs));
    }
    return rows;
}

AnalysisInfo overlapAnalysis() {
    return {.name = "overlap",
            .source = AnalysisSource::Routing,
            .parameters = "longest=64",
            .needs = "",
            .summary = "by layer and lag: the part of a token's experts that were chosen so many tokens before",
            .reference = "BigMoeOnEdge route-analyze; baseline k/E, and that of the layer's popularity",
            .run = overlapTable};
}

AnalysisInfo repetitionAnalysis() {
    return {.name = "repetition",
            .source = AnalysisSource::Routing,
            .parameters = "",
            .needs = "",
            .summary = "by layer: how often the next token has the same first choice, or any choice in common",
            .reference = "Mixtral table 5 (arXiv 2401.04088)",
            .run = repetitionTable};
}

}  // namespace expertscope
