// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/analysis/weights/sub_token_routing.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include <fmt/format.h>

#include "profiler/analysis/routing/load_balance.h"
#include "profiler/analysis/weights/lone_tokens.h"
#include "profiler/analysis/weights/weight_study.h"

namespace expertscope {
namespace {

constexpr double kNoData = std::numeric_limits<double>::quiet_NaN();
constexpr const char* kPaper = "Multi-Head Mixture-of-Experts (arXiv 2404.15045)";
constexpr const char* kTokenParameters = "tokens=256, layer=-1 (all), every=1";

/// What the sub-tokens of one layer chose.
struct SubTokenChoices {
    std::size_t heads = 1, experts = 0, topK = 0;
    std::size_t tokens = 0;                  ///< counted: all their sub-tokens were routed
    std::int64_t leftOut = 0;                ///< tokens with a value that is not finite
    std::vector<std::vector<double>> loads;  ///< [heads, experts] sub-tokens
    std::vector<double> reached;             ///< [experts] tokens of which any sub-token chose it
    double expertsPerToken = 0;              ///< different ones, mean

    std::vector<double> total() const {
        std::vector<double> sums(experts);
        for (const std::vector<double>& head : loads)
            std::ranges::transform(sums, head, sums.begin(), std::plus<>());
        return sums;
    }
};

SubTokenChoices choicesOf(const LoneRouting& routing, const ModelConfig& config) {
    SubTokenChoices choices;
    choices.heads = static_cast<std::size_t>(config.subTokens);
    choices.experts = static_cast<std::size_t>(config.experts);
    choices.topK = static_cast<std::size_t>(config.topK);
    choices.loads.assign(choices.heads, std::vector<double>(choices.experts));
    choices.reached.assign(choices.experts, 0);
    const std::size_t width = choices.heads * choices.topK;
    double different = 0;
    for (std::size_t first = 0; first < routing.chosen.size(); first += width) {
        const auto token = routing.chosen.subspan(first, width);
        if (std::ranges::find(token, -1) != token.end()) {
            ++choices.leftOut;
            continue;
        }
        ++choices.tokens;
        for (std::size_t i = 0; i < width; ++i)
            choices.loads[i / choices.topK][static_cast<std::size_t>(token[i])] += 1;
        const std::set<std::int32_t> distinct(token.begin(), token.end());
        for (const std::int32_t expert : distinct)
            choices.reached[static_cast<std::size_t>(expert)] += 1;
        different += static_cast<double>(distinct.size());
    }
    choices.expertsPerToken = choices.tokens > 0 ? different / static_cast<double>(choices.tokens) : kNoData;
    return choices;
}

/// A part of a layer's sub-tokens: those of one head, or all.
AnalysisCell headCell(std::size_t head, std::size_t heads) {
    if (head < heads) return static_cast<std::int64_t>(head);
    return std::string("all");
}

/// Calls use(layer, choices) for the layers asked for, where the model splits tokens; says in the table what was
/// counted.
template <class Use>
void forEachSplitLayer(AnalysisTable& table, const AnalysisInput& input, Parameters& parameters, Use&& use) {
    StudyInUse study(input);
    const std::vector<LayerIndex> layers = chosenLayers(*study, parameters);
    const ModelConfig& config = input.checkpoint->config();
    const std::vector<std::int32_t> ids = drawnTokens(config.vocabulary, parameters.integer("tokens", 256, 1, 1 << 20));
    table.counted = study->counted();
    if (config.subTokens == 1) {
        table.counted += " Nothing was counted: the model routes whole tokens (its config.json has no num_moe_heads).";
        if (input.progress) input.progress(1);
        return;
    }
    table.counted += fmt::format(
        " {} of {} tokens of the vocabulary, each as a prompt of its own; a token is {} sub-tokens of {} values, head "
        "n "
        "its n-th part after the multi-head projection, and each sub-token chooses {} experts. Shares are of "
        "sub-tokens "
        "(they sum to {}), token shares of tokens of which any sub-token chose the expert.",
        ids.size(), config.vocabulary, config.subTokens, config.expertInputs(), config.topK, config.topK);
    std::int64_t leftOut = 0;
    routeLoneTokens(study->weights(), ids, layers.back(), study->pool(), [&](const LoneRouting& routing) {
        if (input.progress) input.progress(routing.layer.value() / (layers.back().value() + 1.0));
        if (std::ranges::find(layers, routing.layer) == layers.end()) return;
        const SubTokenChoices choices = choicesOf(routing, config);
        leftOut += choices.leftOut;
        use(routing.layer, choices);
    });
    if (leftOut > 0)
        table.counted += fmt::format(" Left out: {} tokens by layer with values that are not finite numbers.", leftOut);
    if (input.progress) input.progress(1);
}

/// Different experts that `draws` random choices of k of E reach.
double randomlyReached(double draws, double topK, double experts) {
    return experts * (1 - std::pow(1 - topK / experts, draws));
}

AnalysisTable routingTable(const AnalysisInput& input, Parameters& parameters) {
    AnalysisTable table;
    table.columns = {"layer",   "head",           "sub_tokens",        "experts_used",
                     "max_vio", "random_max_vio", "effective_experts", "random_effective_experts",
                     "cv",      "max_share",      "experts_per_token", "random_experts_per_token"};
    forEachSplitLayer(table, input, parameters, [&](LayerIndex layer, const SubTokenChoices& choices) {
        for (std::size_t head = 0; head <= choices.heads; ++head) {
            const bool all = head == choices.heads;
            const std::size_t subTokens = choices.tokens * (all ? choices.heads : 1);
            const LoadBalance balance = loadBalance(all ? choices.total() : choices.loads[head]);
            const RandomBalance random =
                randomBalance(static_cast<std::int64_t>(subTokens), static_cast<std::int32_t>(choices.topK),
                              static_cast<std::int32_t>(choices.experts), 1);
            const double heads = all ? static_cast<double>(choices.heads) : 1;
            table.rows.push_back(
                {std::int64_t{layer.value()}, headCell(head, choices.heads), static_cast<std::int64_t>(subTokens),
                 std::int64_t{balance.used}, balance.maxVio, random.maxVio, balance.effective, random.effective,
                 balance.cv, balance.maxShare, all ? choices.expertsPerToken : static_cast<double>(choices.topK),
                 randomlyReached(heads, static_cast<double>(choices.topK), static_cast<double>(choices.experts))});
        }
    });
    return table;
}

AnalysisTable loadTable(const AnalysisInput& input, Parameters& parameters) {
    AnalysisTable table;
    table.columns = {"layer", "head", "expert", "sub_tokens", "sub_token_share", "token_share", "random_token_share"};
    forEachSplitLayer(table, input, parameters, [&](LayerIndex layer, const SubTokenChoices& choices) {
        const std::vector<double> total = choices.total();
        const auto tokens = static_cast<double>(choices.tokens), experts = static_cast<double>(choices.experts);
        for (std::size_t head = 0; head <= choices.heads; ++head) {
            const bool all = head == choices.heads;
            const double heads = all ? static_cast<double>(choices.heads) : 1;
            for (std::size_t e = 0; e < choices.experts; ++e) {
                const double load = all ? total[e] : choices.loads[head][e];
                const double reached = all ? choices.reached[e] : load;
                table.rows.push_back({std::int64_t{layer.value()}, headCell(head, choices.heads),
                                      static_cast<std::int64_t>(e), static_cast<std::int64_t>(load),
                                      load / (tokens * heads), reached / tokens,
                                      randomlyReached(heads, static_cast<double>(choices.topK), experts) / experts});
            }
        }
    });
    return table;
}

}  // namespace

AnalysisInfo subTokenRoutingAnalysis() {
    return {.name = "sub-token-routing",
            .source = AnalysisSource::Checkpoint,
            .parameters = kTokenParameters,
            .needs = "a model that splits tokens around its experts",
            .summary = "by layer and head: how evenly sub-tokens spread over experts, experts that a token reaches",
            .reference = kPaper,
            .run = routingTable};
}

AnalysisInfo subTokenLoadAnalysis() {
    return {.name = "sub-token-load",
            .source = AnalysisSource::Checkpoint,
            .parameters = kTokenParameters,
            .needs = "a model that splits tokens around its experts",
            .summary = "by layer, head and expert: share of sub-tokens, and of tokens, that choose it",
            .reference = kPaper,
            .run = loadTable};
}

}  // namespace expertscope
