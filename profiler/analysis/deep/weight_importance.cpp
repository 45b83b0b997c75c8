// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/analysis/deep/weight_importance.h"

#include <cmath>

#include "profiler/analysis/deep/deep_tables.h"
#include "profiler/analysis/weights/expert_weights.h"
#include "profiler/analysis/weights/stable_rank.h"
#include "profiler/analysis/weights/weight_slices.h"
#include "profiler/analysis/weights/weight_study.h"

namespace expertscope {
namespace {

/// 1 − mean cosine of a routed expert's whole matrices to those of the others.
double distinctnessOf(const LayerExpertWeights& layer, std::size_t expert) {
    double sum = 0, count = 0;
    for (const SimilarityMatrix& matrix : layer.whole) {
        for (std::size_t other = 0; other < matrix.size(); ++other) {
            if (other == expert || matrix.units[other].expert < 0 || !std::isfinite(matrix.at(expert, other))) continue;
            sum += matrix.at(expert, other);
            ++count;
        }
    }
    return 1 - meanOf(sum, count);
}

std::vector<double> stableRanks(WeightStudy& study, LayerIndex layer, std::size_t experts,
                                const std::function<void(double)>& progress) {
    std::vector<double> ranks(experts * 3), means(experts);
    forEachSlice(study.pool(), ranks.size(), progress, [&](std::size_t item, std::size_t) {
        const std::vector<float> matrix = study.weights().neurons(layer, item / 3, kExpertMatrices[item % 3]);
        double squares = 0;
        for (const float value : matrix)
            squares += static_cast<double>(value) * static_cast<double>(value);
        const auto neurons = static_cast<std::size_t>(study.weights().units(layer)[item / 3].neurons);
        const double gain = spectralNorm(matrix, neurons);
        ranks[item] = meanOf(squares, gain * gain);
    });
    for (std::size_t e = 0; e < experts; ++e)
        means[e] = (ranks[3 * e] + ranks[3 * e + 1] + ranks[3 * e + 2]) / 3;
    return means;
}

AnalysisTable weightImportanceTable(const AnalysisInput& input, Parameters& parameters) {
    StudyInUse study(input);
    const std::vector<LayerIndex> layers = chosenLayers(*study, parameters);
    AnalysisTable table;
    table.counted = study->counted() +
                    " Of routed experts: distinctness 1 − mean cosine to the others' matrices (weight similarity), L2 "
                    "norm of the router's row, Frobenius norm of the three matrices together, mean stable rank of the "
                    "three.";
    table.columns = {"layer", "expert", "distinctness", "router_norm", "weight_norm", "stable_rank"};
    forEachLayer(layers, input, [&](LayerIndex layer, const std::function<void(double)>& progress) {
        const WeightImportance scores = weightImportance(*study, layer, progress);
        for (std::size_t e = 0; e < scores.routerNorm.size(); ++e)
            table.rows.push_back({std::int64_t{layer.value()}, static_cast<std::int64_t>(e), scores.distinctness[e],
                                  scores.routerNorm[e], scores.weightNorm[e], scores.stableRank[e]});
    });
    return table;
}

}  // namespace

WeightImportance weightImportance(WeightStudy& study, LayerIndex layer, const std::function<void(double)>& progress) {
    const LayerExpertWeights& weights = study.layer(layer, {});
    WeightImportance scores;
    for (std::size_t e = 0; e < weights.units.size(); ++e) {
        if (weights.units[e].expert < 0) continue;
        double squares = 0;
        for (const std::vector<double>& norms : weights.norms)
            squares += norms[e] * norms[e];
        scores.distinctness.push_back(distinctnessOf(weights, e));
        scores.routerNorm.push_back(weights.router.norms[e]);
        scores.weightNorm.push_back(std::sqrt(squares));
    }
    scores.stableRank = stableRanks(study, layer, scores.routerNorm.size(), progress);
    return scores;
}

AnalysisInfo weightImportanceAnalysis() {
    return {.name = "weight-importance",
            .source = AnalysisSource::Checkpoint,
            .parameters = kLayerParameters,
            .needs = "",
            .summary = "by layer and expert: how much it matters by its weights alone",
            .reference = "MC-Suite's criteria of weights",
            .run = weightImportanceTable};
}

}  // namespace expertscope
