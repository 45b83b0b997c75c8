// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/analysis/deep/activation_map.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include <fmt/format.h>

#include "engine/base/error.h"
#include "profiler/analysis/deep/deep_tables.h"
#include "profiler/analysis/deep/raw_capture.h"

namespace expertscope {
namespace {

/// |a| above which a neuron counts as active, of all experts and of the chosen ones.
struct ActiveParts {
    double cells = 0, active = 0, chosenCells = 0, chosenActive = 0;

    void add(const ActivationMap& map) {
        for (std::size_t i = 0; i < map.values.size(); ++i) {
            const double counts = std::abs(map.values[i]) > kDeepActive ? 1 : 0;
            cells += 1;
            active += counts;
            if (!map.chosen(i / static_cast<std::size_t>(map.neurons))) continue;
            chosenCells += 1;
            chosenActive += counts;
        }
    }
};

/// The token asked for, else the first that was taken; nothing where none was.
std::optional<TokenIndex> chosenToken(const RawCapture& raw, std::int32_t wanted) {
    for (const LayerIndex layer : raw.layers()) {
        const std::vector<std::int32_t> tokens = raw.tokens(layer);
        if (tokens.empty()) continue;
        if (wanted < 0) return TokenIndex(tokens.front());
        if (std::ranges::find(tokens, wanted) != tokens.end()) return TokenIndex(wanted);
        throw UsageError(
            fmt::format("Token {} was not captured: this run's deep capture kept the activations of {} tokens from {} "
                        "to {}.",
                        wanted, tokens.size(), tokens.front(), tokens.back()));
    }
    return std::nullopt;
}

void addRows(const ActivationMap& map, AnalysisTable& table) {
    for (std::size_t i = 0; i < map.values.size(); ++i) {
        const auto neurons = static_cast<std::size_t>(map.neurons);
        table.rows.push_back({std::int64_t{map.layer.value()}, std::int64_t{map.token.value()},
                              static_cast<std::int64_t>(i / neurons), std::int64_t{map.chosen(i / neurons) ? 1 : 0},
                              static_cast<std::int64_t>(i % neurons), static_cast<double>(map.values[i])});
    }
}

AnalysisTable activationMapTable(const AnalysisInput& input, Parameters& parameters) {
    AnalysisTable table;
    table.counted = deepCounted(*input.deep);
    table.columns = {"layer", "token", "expert", "chosen", "neuron", "activation"};
    const std::int32_t wanted = parameters.integer("token", -1, -1, std::numeric_limits<std::int32_t>::max());
    const std::vector<const DeepLayer*> layers = chosenDeepLayers(*input.deep, parameters);
    if (!input.raw || layers.empty()) return table;
    if (const std::string missing = input.raw->missing(); !missing.empty()) {
        table.counted += " " + missing;
        return table;
    }
    const std::optional<TokenIndex> token = chosenToken(*input.raw, wanted);
    if (!token) return table;
    ActiveParts parts;
    for (const DeepLayer* layer : layers) {
        const std::optional<ActivationMap> map = input.raw->activations(layer->layer, *token);
        if (!map) continue;
        parts.add(*map);
        addRows(*map, table);
    }
    table.counted += fmt::format(
        " Shown: token {}; the activation is that of a neuron's gate row, before the product with its up row; |a| > {} "
        "in {:.1f} % of all neurons, in {:.1f} % of those of the experts that the token chose.",
        token->value(), kDeepActive, 100 * meanOf(parts.active, parts.cells),
        100 * meanOf(parts.chosenActive, parts.chosenCells));
    return table;
}

}  // namespace

AnalysisInfo activationMapAnalysis() {
    return {.name = "activation-map",
            .source = AnalysisSource::Deep,
            .parameters = "token=-1 (the first taken), layer=-1 (all)",
            .needs = "a run recorded with deep:raw",
            .summary = "one token by layer, expert and neuron: the activation of the gate projection",
            .reference = "A Closer Look into Mixture-of-Experts, arXiv 2406.18219",
            .run = activationMapTable};
}

}  // namespace expertscope
