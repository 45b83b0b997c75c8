// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/analysis/weights/similarity.h"

#include <limits>

#include "profiler/analysis/weights/weight_pass.h"
#include "profiler/analysis/weights/weight_study.h"

namespace expertscope {
namespace {

constexpr const char* kPaper = "Look-into-MoEs (arXiv 2406.18219)";

/// One row a layer and pair (a before b), with the columns that `cells` gives for it.
template <class Cells>
void addPairs(AnalysisTable& table, LayerIndex layer, const std::vector<WeightUnit>& units, Cells&& cells) {
    for (std::size_t a = 0; a < units.size(); ++a) {
        for (std::size_t b = a + 1; b < units.size(); ++b) {
            std::vector<AnalysisCell> row{std::int64_t{layer.value()}, unitCell(units[a]), unitCell(units[b])};
            for (const double value : cells(a, b))
                row.emplace_back(value);
            table.rows.push_back(std::move(row));
        }
    }
}

void sayWherePairsLack(AnalysisTable& table) {
    if (table.rows.empty()) table.counted += " Nothing was counted: a pair needs two experts in a layer.";
}

using ThreeMatrices = std::array<SimilarityMatrix, 3>;

AnalysisTable matricesTable(const AnalysisInput& input, Parameters& parameters, const char* what,
                            ThreeMatrices LayerExpertWeights::*which, bool withRouter) {
    StudyInUse study(input);
    const std::vector<LayerIndex> layers = chosenLayers(*study, parameters);
    AnalysisTable table;
    table.counted = study->counted() + what;
    table.columns = {"layer", "expert_a", "expert_b", "up", "gate", "down"};
    if (withRouter) table.columns.emplace_back("router");
    forEachLayer(layers, input, [&](LayerIndex index, const std::function<void(double)>& progress) {
        const LayerExpertWeights& layer = study->layer(index, progress);
        const ThreeMatrices& matrices = layer.*which;
        const SimilarityMatrix& router = layer.router.similarity;
        addPairs(table, index, matrices[0].units, [&](std::size_t a, std::size_t b) {
            std::vector<double> values;
            for (const SimilarityMatrix& matrix : matrices)
                values.push_back(matrix.at(a, b));
            if (withRouter)
                values.push_back(b < router.size() ? router.at(a, b) : std::numeric_limits<double>::quiet_NaN());
            return values;
        });
    });
    sayWherePairsLack(table);
    return table;
}

AnalysisTable weightSimilarityTable(const AnalysisInput& input, Parameters& parameters) {
    return matricesTable(input, parameters,
                         " Cosine of the whole flattened matrices of two experts, neither centred nor reordered, for "
                         "each of the three matrices; units of another width than the routed experts are left out.",
                         &LayerExpertWeights::whole, false);
}

AnalysisTable neuronSimilarityTable(const AnalysisInput& input, Parameters& parameters) {
    return matricesTable(input, parameters,
                         " Cosine of the mean neurons of two experts (up and gate: mean of the rows, down: mean of the "
                         "columns), and of their router rows.",
                         &LayerExpertWeights::averaged, true);
}

AnalysisTable gateSimilarityTable(const AnalysisInput& input, Parameters& parameters) {
    StudyInUse study(input);
    const std::vector<LayerIndex> layers = chosenLayers(*study, parameters);
    AnalysisTable table;
    table.counted = study->counted() + " Cosine of two rows of the layer's router.";
    table.columns = {"layer", "expert_a", "expert_b", "router"};
    forEachLayer(layers, input, [&](LayerIndex index, const std::function<void(double)>&) {
        const SimilarityMatrix router = readRouterWeights(study->weights(), index).similarity;
        addPairs(table, index, router.units, [&](std::size_t a, std::size_t b) { return std::array{router.at(a, b)}; });
    });
    sayWherePairsLack(table);
    return table;
}

}  // namespace

AnalysisInfo weightSimilarityAnalysis() {
    return {.name = "weight-similarity",
            .source = AnalysisSource::Checkpoint,
            .parameters = kLayerParameters,
            .needs = "",
            .summary = "by layer and pair of experts: cosine of their whole matrices up, gate and down",
            .reference = kPaper,
            .run = weightSimilarityTable};
}

AnalysisInfo neuronSimilarityAnalysis() {
    return {.name = "neuron-similarity",
            .source = AnalysisSource::Checkpoint,
            .parameters = kLayerParameters,
            .needs = "",
            .summary = "by layer and pair of experts: cosine of their mean neurons, beside that of their router rows",
            .reference = kPaper,
            .run = neuronSimilarityTable};
}

AnalysisInfo gateSimilarityAnalysis() {
    return {.name = "gate-similarity",
            .source = AnalysisSource::Checkpoint,
            .parameters = kLayerParameters,
            .needs = "",
            .summary = "by layer and pair of experts: cosine of their router rows",
            .reference = kPaper,
            .run = gateSimilarityTable};
}

}  // namespace expertscope
