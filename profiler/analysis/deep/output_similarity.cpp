// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/analysis/deep/output_similarity.h"

#include <algorithm>

#include "profiler/analysis/deep/deep_tables.h"

namespace expertscope {
namespace {

constexpr const char* kPaper = "A Closer Look into Mixture-of-Experts, arXiv 2406.18219";
constexpr const char* kSimilarity =
    " Cosine of two experts' outputs for the same token, and angular similarity 1 − arccos(cosine)/π, both averaged "
    "over "
    "tokens; outputs of zeros have no direction and are left out.";

AnalysisTable outputSimilarityTable(const AnalysisInput& input, Parameters& parameters) {
    AnalysisTable table;
    table.counted = deepCounted(*input.deep) + kSimilarity +
                    " By pairs of which a token chose both experts, one, neither: if choices had nothing to do with "
                    "likeness, each would be mean_cosine. Directions drawn at random have cosine 0, angular ½.";
    table.columns = {"layer",          "mean_cosine",  "chosen_cosine",     "mixed_cosine",  "unchosen_cosine",
                     "random_cosine",  "mean_angular", "chosen_angular",    "mixed_angular", "unchosen_angular",
                     "random_angular", "least_like",   "least_like_angular"};
    for (const DeepLayer* layer : chosenDeepLayers(*input.deep, parameters)) {
        const OutputSimilarity similarity = outputSimilarity(*layer);
        std::vector<AnalysisCell> row{std::int64_t{layer->layer.value()}};
        row.insert(row.end(), similarity.meanCosine.begin(), similarity.meanCosine.end());
        row.emplace_back(0.0);
        row.insert(row.end(), similarity.meanAngular.begin(), similarity.meanAngular.end());
        row.emplace_back(0.5);
        // The expert whose outputs are least like the others' ("dark cross").
        const auto experts = static_cast<std::size_t>(layer->experts);
        std::size_t least = 0;
        double leastMean = 2;
        for (std::size_t a = 0; a < experts; ++a) {
            double sum = 0, count = 0;
            for (std::size_t b = 0; b < experts; ++b) {
                if (a == b || !(layer->pairTokens[a * experts + b] > 0)) continue;
                sum += similarity.angular[a * experts + b];
                ++count;
            }
            if (count > 0 && sum / count < leastMean) {
                least = a;
                leastMean = sum / count;
            }
        }
        row.push_back(leastMean < 2 ? AnalysisCell{static_cast<std::int64_t>(least)} : AnalysisCell{});
        row.push_back(leastMean < 2 ? AnalysisCell{leastMean} : AnalysisCell{});
        table.rows.push_back(std::move(row));
    }
    return table;
}

AnalysisTable outputSimilarityPairsTable(const AnalysisInput& input, Parameters& parameters) {
    AnalysisTable table;
    table.counted = deepCounted(*input.deep) + kSimilarity;
    table.columns = {"layer", "expert_a", "expert_b", "cosine", "angular", "random_cosine", "random_angular"};
    for (const DeepLayer* layer : chosenDeepLayers(*input.deep, parameters)) {
        const OutputSimilarity similarity = outputSimilarity(*layer);
        const auto experts = static_cast<std::size_t>(layer->experts);
        for (std::size_t a = 0; a < experts; ++a)
            for (std::size_t b = a + 1; b < experts; ++b)
                table.rows.push_back({std::int64_t{layer->layer.value()}, static_cast<std::int64_t>(a),
                                      static_cast<std::int64_t>(b), similarity.cosine[a * experts + b],
                                      similarity.angular[a * experts + b], 0.0, 0.5});
    }
    return table;
}

AnalysisTable tokenSimilarityTable(const AnalysisInput& input, Parameters& parameters) {
    AnalysisTable table;
    table.counted = deepCounted(*input.deep) +
                    " Of the first tokens only: cosine of two experts' outputs; chosen says how many of the two the "
                    "token chose.";
    table.columns = {"layer", "token", "expert_a", "expert_b", "cosine", "chosen", "random_cosine"};
    for (const DeepLayer* layer : chosenDeepLayers(*input.deep, parameters)) {
        const auto experts = static_cast<std::size_t>(layer->experts);
        const std::size_t matrices = layer->exampleCosines.size() / (experts * experts);
        for (std::size_t t = 0; t < matrices; ++t) {
            const auto chose = [&](std::size_t e) { return layer->exampleWeights[t * experts + e] != 0 ? 1 : 0; };
            for (std::size_t a = 0; a < experts; ++a)
                for (std::size_t b = a + 1; b < experts; ++b)
                    table.rows.push_back({std::int64_t{layer->layer.value()},
                                          static_cast<std::int64_t>(layer->exampleTokens[t]),
                                          static_cast<std::int64_t>(a), static_cast<std::int64_t>(b),
                                          layer->exampleCosines[(t * experts + a) * experts + b],
                                          std::int64_t{chose(a) + chose(b)}, 0.0});
        }
    }
    return table;
}

}  // namespace

OutputSimilarity outputSimilarity(const DeepLayer& layer) {
    OutputSimilarity similarity;
    for (std::size_t cell = 0; cell < layer.pairTokens.size(); ++cell) {
        similarity.cosine.push_back(meanOf(layer.cosineSum[cell], layer.pairTokens[cell]));
        similarity.angular.push_back(meanOf(layer.angularSum[cell], layer.pairTokens[cell]));
    }
    std::array<double, 3> all{};
    for (std::size_t group = 0; group < 3; ++group) {
        const double* const sums = layer.pairClasses.data() + group * 3;
        similarity.meanCosine[group + 1] = meanOf(sums[1], sums[0]);
        similarity.meanAngular[group + 1] = meanOf(sums[2], sums[0]);
        for (std::size_t i = 0; i < 3; ++i)
            all[i] += sums[i];
    }
    similarity.meanCosine[0] = meanOf(all[1], all[0]);
    similarity.meanAngular[0] = meanOf(all[2], all[0]);
    return similarity;
}

AnalysisInfo outputSimilarityAnalysis() {
    return {.name = "output-similarity",
            .source = AnalysisSource::Deep,
            .parameters = kDeepLayerParameter,
            .needs = "",
            .summary = "by layer: how alike the experts' outputs are, chosen ones and others",
            .reference = kPaper,
            .run = outputSimilarityTable};
}

AnalysisInfo outputSimilarityPairsAnalysis() {
    return {.name = "output-similarity-pairs",
            .source = AnalysisSource::Deep,
            .parameters = kDeepLayerParameter,
            .needs = "",
            .summary = "by layer and pair of experts: how alike their outputs are",
            .reference = kPaper,
            .run = outputSimilarityPairsTable};
}

AnalysisInfo tokenSimilarityAnalysis() {
    return {.name = "token-similarity",
            .source = AnalysisSource::Deep,
            .parameters = kDeepLayerParameter,
            .needs = "",
            .summary = "example tokens: how alike the outputs of each pair of experts are",
            .reference = kPaper,
            .run = tokenSimilarityTable};
}

}  // namespace expertscope
