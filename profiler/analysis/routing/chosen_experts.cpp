// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/analysis/routing/chosen_experts.h"

#include <algorithm>
#include <limits>

namespace expertscope {
namespace {

/// For each slot how many tokens in a row, up to this row, chose its expert (in any slot), within a request.
std::vector<std::int64_t> runsAt(const RunRouting& routing, const LayerChoices& layer, std::size_t row,
                                 const std::vector<std::int64_t>& before) {
    std::vector<std::int64_t> runs(layer.chosen(row).size(), 1);
    const bool follows = row > 0 && layer.tokens[row] == layer.tokens[row - 1] + 1 &&
                         routing.sameRequest(layer.tokens[row], layer.tokens[row - 1]);
    if (!follows) return runs;
    const auto last = layer.chosen(row - 1);
    for (std::size_t slot = 0; slot < runs.size(); ++slot) {
        const std::int32_t expert = layer.chosen(row)[slot];
        const auto found = std::ranges::find(last, expert);
        if (expert >= 0 && found != last.end()) runs[slot] = before[static_cast<std::size_t>(found - last.begin())] + 1;
    }
    return runs;
}

AnalysisTable chosenExpertsTable(const AnalysisInput& input, Parameters& parameters) {
    const RunRouting& routing = *input.routing;
    const int most = std::numeric_limits<int>::max();
    const int first = parameters.integer("first", 0, 0, most), tokens = parameters.integer("tokens", 64, 1, most);
    const int only = parameters.integer("layer", -1, -1, std::max(0, routing.layers() - 1));
    AnalysisTable table;
    table.counted = routing.counted() +
                    " in_a_row is how many tokens up to this one, one after the other, chose the expert; chosen at "
                    "random an expert stays random_in_a_row tokens on average.";
    table.columns = {"layer", "token", "text", "slot", "expert", "weight", "in_a_row", "random_in_a_row"};
    const double experts = routing.experts();
    const double random = routing.topK() < routing.experts() ? experts / (experts - routing.topK())
                                                             : std::numeric_limits<double>::quiet_NaN();
    for (std::int32_t l = 0; l < routing.layers(); ++l) {
        if (only >= 0 && l != only) continue;
        const LayerChoices& layer = routing.layer(l);
        std::vector<std::int64_t> runs;
        for (std::size_t row = 0; row < layer.rows(); ++row) {
            runs = runsAt(routing, layer, row, runs);
            const std::int32_t token = layer.tokens[row];
            if (token < first) continue;
            if (token - first >= tokens) break;
            for (std::size_t slot = 0; slot < runs.size(); ++slot) {
                if (layer.chosen(row)[slot] < 0) continue;
                table.rows.push_back({std::int64_t{l}, std::int64_t{token}, routing.textOf(routing.token(token).id),
                                      static_cast<std::int64_t>(slot), std::int64_t{layer.chosen(row)[slot]},
                                      static_cast<double>(layer.weights[row * runs.size() + slot]), runs[slot],
                                      random});
            }
        }
    }
    return table;
}

}  // namespace

AnalysisInfo chosenExpertsAnalysis() {
    return {.name = "chosen-experts",
            .source = AnalysisSource::Routing,
            .parameters = "first=0, tokens=64, layer=-1 (all)",
            .needs = "",
            .summary = "by layer and token: the experts that it chose, with their weights",
            .reference = "A Closer Look into Mixture-of-Experts, arXiv 2406.18219",
            .run = chosenExpertsTable};
}

}  // namespace expertscope
