// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/analysis/deep/norm_score.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "profiler/analysis/deep/deep_tables.h"

namespace expertscope {
namespace {

constexpr double kNoData = std::numeric_limits<double>::quiet_NaN();

/// Norms of all experts, and of those that were chosen.
struct NormTotals {
    double all = 0, chosen = 0, choices = 0, cells = 0;

    void add(const DeepLayer& layer) {
        all += totalOf(layer.normSum);
        chosen += totalOf(layer.chosenNormSum);
        choices += totalOf(layer.chosen);
        cells += static_cast<double>(layer.tokens) * layer.experts;
    }
};

NormScore normScoreOf(std::vector<double> rankCounts, std::int64_t tokens, std::int32_t experts, std::int32_t topK,
                      const NormTotals& norms) {
    NormScore result;
    result.tokens = tokens;
    result.rankCounts = std::move(rankCounts);
    const double n = static_cast<double>(tokens), e = experts;
    double squares = 0, best = 0;
    for (std::int32_t row = 0; row < experts; ++row) {
        for (std::int32_t column = 0; column < experts; ++column) {
            const double count = result.rankCounts[static_cast<std::size_t>(row) * static_cast<std::size_t>(experts) +
                                                   static_cast<std::size_t>(column)];
            squares += count * (row - column) * (row - column);
            if (row >= experts - topK && column >= experts - topK) best += count;
        }
    }
    const bool ranked = tokens > 0 && experts > 1;
    // Ranks of a token are permutations, so that the mean of ρ over tokens follows from the counts alone.
    result.spearman = ranked ? 1 - 6 * squares / (n * e * (e * e - 1)) : kNoData;
    result.spearmanDeviation = ranked ? 1 / std::sqrt(n * (e - 1)) : kNoData;
    result.topOverlap = meanOf(best, n * topK);
    result.randomOverlap = meanOf(topK, e);
    result.meanNorm = meanOf(norms.all, norms.cells);
    result.meanChosenNorm = meanOf(norms.chosen, norms.choices);
    result.meanOtherNorm = meanOf(norms.all - norms.chosen, norms.cells - norms.choices);
    return result;
}

std::vector<AnalysisCell> normScoreRow(AnalysisCell layer, const NormScore& s) {
    return {std::move(layer),
            s.tokens,
            s.spearman,
            0.0,
            s.spearmanDeviation,
            s.topOverlap,
            s.randomOverlap,
            s.meanNorm,
            s.meanChosenNorm,
            s.meanOtherNorm,
            s.meanChosenNorm / s.meanOtherNorm};
}

AnalysisTable normScoreTable(const AnalysisInput& input, Parameters& parameters) {
    const auto layers = chosenDeepLayers(*input.deep, parameters);
    AnalysisTable table;
    table.counted = deepCounted(*input.deep) +
                    " spearman is the mean over tokens of the rank correlation of the experts' output norms with their "
                    "scores; top_overlap the part of the k best by score that is among the k largest by norm. The row "
                    "without a layer pools all.";
    table.columns = {"layer",       "tokens",         "spearman",  "random_spearman",  "random_spearman_deviation",
                     "top_overlap", "random_overlap", "mean_norm", "mean_chosen_norm", "mean_other_norm",
                     "norm_ratio"};
    for (const DeepLayer* layer : layers) {
        table.rows.push_back(normScoreRow(std::int64_t{layer->layer.value()}, normScore(*layer, input.deep->topK)));
    }
    if (layers.size() == input.deep->layers.size() && layers.size() > 1)
        table.rows.push_back(normScoreRow({}, pooledNormScore(input.deep->layers, input.deep->topK)));
    return table;
}

void addRanks(AnalysisTable& table, const AnalysisCell& layer, const NormScore& score, std::int32_t experts) {
    std::size_t cell = 0;
    for (std::int64_t row = 1; row <= experts; ++row)
        for (std::int64_t column = 1; column <= experts; ++column)
            table.rows.push_back(
                {layer, row, column, score.rankCounts[cell++], static_cast<double>(score.tokens) / experts});
}

AnalysisTable normRanksTable(const AnalysisInput& input, Parameters& parameters) {
    const bool pooled = parameters.word("of", {"all", "layers"}) == "all";
    const auto layers = chosenDeepLayers(*input.deep, parameters);
    AnalysisTable table;
    table.counted = deepCounted(*input.deep) +
                    " Of each token the experts are ranked by score and by output norm, 1 = smallest; count is how "
                    "often an expert had both ranks. Rows without a layer sum over layers.";
    table.columns = {"layer", "score_rank", "norm_rank", "count", "random_count"};
    if (layers.empty()) return table;
    if (pooled && layers.size() > 1)
        addRanks(table, {}, pooledNormScore(input.deep->layers, input.deep->topK), layers.front()->experts);
    else
        for (const DeepLayer* layer : layers)
            addRanks(table, std::int64_t{layer->layer.value()}, normScore(*layer, input.deep->topK), layer->experts);
    return table;
}

AnalysisTable expertNormsTable(const AnalysisInput& input, Parameters& parameters) {
    AnalysisTable table;
    table.counted =
        deepCounted(*input.deep) +
        " Mean L2 norms of each expert's output over all tokens and over those that chose it; relative_norm "
        "is the first over the layer's mean.";
    table.columns = {"layer",           "expert",   "mean_norm",  "relative_norm", "mean_chosen_norm",
                     "mean_other_norm", "max_norm", "mean_score", "uniform_score"};
    for (const DeepLayer* layer : chosenDeepLayers(*input.deep, parameters)) {
        const ExpertNorms norms = expertNorms(*layer);
        const double mean = totalOf(norms.norm) / layer->experts;
        for (std::size_t e = 0; e < norms.norm.size(); ++e) {
            const double others = static_cast<double>(layer->tokens) - layer->chosen[e];
            table.rows.push_back({std::int64_t{layer->layer.value()}, static_cast<std::int64_t>(e), norms.norm[e],
                                  norms.norm[e] / mean, norms.chosenNorm[e],
                                  meanOf(layer->normSum[e] - layer->chosenNormSum[e], others), norms.maxNorm[e],
                                  norms.score[e], 1.0 / layer->experts});
        }
    }
    return table;
}

AnalysisTable tokenNormsTable(const AnalysisInput& input, Parameters& parameters) {
    AnalysisTable table;
    table.counted = deepCounted(*input.deep) +
                    " Of the first tokens only, every expert's score and output norm; weight "
                    "is that with which a chosen expert was applied.";
    table.columns = {"layer", "token", "text", "expert", "score", "norm", "weight"};
    for (const DeepLayer* layer : chosenDeepLayers(*input.deep, parameters)) {
        for (const TokenNorms& token : tokenNorms(*layer)) {
            AnalysisCell text;
            if (input.routing && token.token.value() < input.routing->tokenCount())
                text = input.routing->textOf(input.routing->token(token.token.value()).id);
            for (std::size_t e = 0; e < token.score.size(); ++e)
                table.rows.push_back({std::int64_t{layer->layer.value()}, std::int64_t{token.token.value()}, text,
                                      static_cast<std::int64_t>(e), token.score[e], token.norm[e],
                                      token.weight[e] != 0 ? AnalysisCell{token.weight[e]} : AnalysisCell{}});
        }
    }
    return table;
}

AnalysisInfo deepInfo(const char* name, const char* parameters, const char* summary,
                      AnalysisTable (*run)(const AnalysisInput&, Parameters&)) {
    return {.name = name,
            .source = AnalysisSource::Deep,
            .parameters = parameters,
            .needs = "",
            .summary = summary,
            .reference = "A Closer Look into Mixture-of-Experts, arXiv 2406.18219",
            .run = run};
}

}  // namespace

NormScore normScore(const DeepLayer& layer, std::int32_t topK) {
    NormTotals norms;
    norms.add(layer);
    return normScoreOf(layer.rankCounts, layer.tokens, layer.experts, topK, norms);
}

NormScore pooledNormScore(std::span<const DeepLayer> layers, std::int32_t topK) {
    if (layers.empty()) return normScoreOf({}, 0, 0, topK, {});
    const std::int32_t experts = layers.front().experts;
    std::vector<double> counts(layers.front().rankCounts.size());
    std::int64_t tokens = 0;
    NormTotals norms;
    for (const DeepLayer& layer : layers) {
        if (layer.experts != experts) continue;
        std::ranges::transform(counts, layer.rankCounts, counts.begin(), std::plus<>());
        tokens += layer.tokens;
        norms.add(layer);
    }
    return normScoreOf(std::move(counts), tokens, experts, topK, norms);
}

ExpertNorms expertNorms(const DeepLayer& layer) {
    ExpertNorms norms;
    norms.maxNorm = layer.normMax;
    for (std::size_t e = 0; e < layer.normSum.size(); ++e) {
        norms.norm.push_back(meanOf(layer.normSum[e], static_cast<double>(layer.tokens)));
        norms.chosenNorm.push_back(meanOf(layer.chosenNormSum[e], layer.chosen[e]));
        norms.score.push_back(meanOf(layer.scoreSum[e], static_cast<double>(layer.tokens)));
    }
    return norms;
}

std::vector<TokenNorms> tokenNorms(const DeepLayer& layer) {
    const auto experts = static_cast<std::ptrdiff_t>(layer.experts);
    std::vector<TokenNorms> tokens;
    for (std::ptrdiff_t i = 0; i < std::ssize(layer.exampleTokens); ++i) {
        const auto rowOf = [&](const std::vector<double>& values) {
            return std::vector<double>(values.begin() + i * experts, values.begin() + (i + 1) * experts);
        };
        tokens.push_back({TokenIndex(static_cast<std::int32_t>(layer.exampleTokens[static_cast<std::size_t>(i)])),
                          rowOf(layer.exampleScores), rowOf(layer.exampleNorms), rowOf(layer.exampleWeights)});
    }
    return tokens;
}

AnalysisInfo normScoreAnalysis() {
    return deepInfo("norm-score", kDeepLayerParameter,
                    "by layer: how the experts' output norms go with the router's scores", normScoreTable);
}
AnalysisInfo normRanksAnalysis() {
    return deepInfo("norm-ranks", "of=all|layers, layer=-1 (all)",
                    "how often an expert has a rank by score and one by output norm", normRanksTable);
}
AnalysisInfo expertNormsAnalysis() {
    return deepInfo("expert-norms", kDeepLayerParameter, "by layer and expert: output norms and scores",
                    expertNormsTable);
}
AnalysisInfo tokenNormsAnalysis() {
    return deepInfo("token-norms", kDeepLayerParameter, "example tokens: every expert's score and output norm",
                    tokenNormsTable);
}

}  // namespace expertscope
