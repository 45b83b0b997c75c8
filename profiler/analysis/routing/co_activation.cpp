// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/analysis/routing/co_activation.h"

#include <algorithm>
#include <string>
#include <tuple>

#include <fmt/format.h>

namespace expertscope {
namespace {

struct Pair {
    std::int32_t expert = 0, other = 0;
    std::int32_t together = 0, alone = 0;
    double share() const { return static_cast<double>(together) / alone; }
};

/// Ordered pairs of one layer, the strongest first.
std::vector<Pair> pairsOf(const CoActivation& counts, std::int32_t experts, std::int32_t least) {
    std::vector<Pair> pairs;
    for (std::int32_t i = 0; i < experts; ++i) {
        const std::int32_t alone = counts.alone[static_cast<std::size_t>(i)];
        if (alone < least) continue;
        for (std::int32_t j = 0; j < experts; ++j) {
            const std::int32_t together =
                counts.together[static_cast<std::size_t>(i) * static_cast<std::size_t>(experts) +
                                static_cast<std::size_t>(j)];
            if (together > 0) pairs.push_back({i, j, together, alone});
        }
    }
    return pairs;
}

AnalysisTable coActivationTable(const AnalysisInput& input, Parameters& parameters) {
    const RunRouting& routing = *input.routing;
    const bool adjacent = parameters.word("pairs", {"all", "adjacent"}) == "adjacent";
    const int top = parameters.integer("top", 32, 0, 1 << 30), least = parameters.integer("least", 10, 1, 1 << 30);
    AnalysisTable table;
    table.counted = routing.counted() + fmt::format(
                                            " Pairs of {}; the {} strongest of each layer by share, of experts "
                                            "that at least {} tokens chose.",
                                            adjacent ? "neighbouring ranks" : "all ranks",
                                            top == 0 ? "pairs, all" : std::to_string(top), least);
    table.columns = {"layer", "expert", "other",        "together",   "expert_tokens",
                     "share", "lift",   "random_share", "random_lift"};
    const double experts = routing.experts(), k = routing.topK();
    // Of uniform choices: any other expert is one of the k − 1 beside this one; of neighbouring ranks 2 (k − 1) / k
    // are.
    const double others = adjacent ? 2 * (k - 1) / k : k - 1;
    const double randomShare = experts > 1 ? others / (experts - 1) : 0;
    for (std::int32_t layer = 0; layer < routing.layers(); ++layer) {
        const CoActivation counts = coActivationOf(routing, layer, adjacent);
        std::vector<Pair> pairs = pairsOf(counts, routing.experts(), least);
        const auto shown = top == 0 ? pairs.size() : std::min(pairs.size(), static_cast<std::size_t>(top));
        std::ranges::partial_sort(pairs, pairs.begin() + static_cast<std::ptrdiff_t>(shown),
                                  [](const Pair& a, const Pair& b) {
                                      return std::tuple(-a.share(), -a.together, a.expert, a.other) <
                                             std::tuple(-b.share(), -b.together, b.expert, b.other);
                                  });
        for (std::size_t i = 0; i < shown; ++i) {
            const Pair& pair = pairs[i];
            const double lift = static_cast<double>(pair.together) * static_cast<double>(counts.tokens) /
                                (static_cast<double>(pair.alone) * counts.alone[static_cast<std::size_t>(pair.other)]);
            table.rows.push_back({std::int64_t{layer}, std::int64_t{pair.expert}, std::int64_t{pair.other},
                                  std::int64_t{pair.together}, std::int64_t{pair.alone}, pair.share(), lift,
                                  randomShare, randomShare * experts / k});
        }
    }
    return table;
}

}  // namespace

CoActivation coActivationOf(const RunRouting& routing, std::int32_t layer, bool adjacentRanks) {
    const auto experts = static_cast<std::size_t>(routing.experts());
    const LayerChoices& choices = routing.layer(layer);
    CoActivation counts;
    counts.alone.resize(experts);
    counts.together.resize(experts * experts);
    for (std::size_t row = 0; row < choices.rows(); ++row) {
        const auto chosen = choices.chosen(row);
        bool any = false;
        for (std::size_t a = 0; a < chosen.size(); ++a) {
            if (chosen[a] < 0) continue;
            any = true;
            ++counts.alone[static_cast<std::size_t>(chosen[a])];
            const std::size_t end = adjacentRanks ? std::min(a + 2, chosen.size()) : chosen.size();
            for (std::size_t b = a + 1; b < end; ++b) {
                if (chosen[b] < 0) continue;
                const auto i = static_cast<std::size_t>(std::min(chosen[a], chosen[b]));
                const auto j = static_cast<std::size_t>(std::max(chosen[a], chosen[b]));
                ++counts.together[i * experts + j];
            }
        }
        counts.tokens += any ? 1 : 0;
    }
    for (std::size_t i = 0; i < experts; ++i)
        for (std::size_t j = i + 1; j < experts; ++j)
            counts.together[j * experts + i] = counts.together[i * experts + j];
    return counts;
}

AnalysisInfo coActivationAnalysis() {
    return {.name = "co-activation",
            .source = AnalysisSource::Routing,
            .parameters = "pairs=all|adjacent, top=32 (0: all), least=10",
            .needs = "",
            .summary = "by layer: pairs of experts that the same tokens choose, N_ij / N_i and lift",
            .reference = "OLMoE §5 (arXiv 2409.02060)",
            .run = coActivationTable};
}

}  // namespace expertscope
