// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/analysis/weights/weight_norms.h"

#include "profiler/analysis/weights/weight_study.h"

namespace expertscope {
namespace {

AnalysisTable weightNormsTable(const AnalysisInput& input, Parameters& parameters) {
    StudyInUse study(input);
    const std::vector<LayerIndex> layers = chosenLayers(*study, parameters);
    AnalysisTable table;
    table.counted =
        study->counted() + " Frobenius norm of each matrix, and the L2 norm of the expert's row of the router.";
    table.columns = {"layer", "expert", "neurons", "up_norm", "gate_norm", "down_norm", "router_norm"};
    forEachLayer(layers, input, [&](LayerIndex index, const std::function<void(double)>& progress) {
        const LayerExpertWeights& layer = study->layer(index, progress);
        for (std::size_t u = 0; u < layer.units.size(); ++u) {
            const bool routed = layer.units[u].expert >= 0;
            table.rows.push_back({std::int64_t{index.value()}, unitCell(layer.units[u]),
                                  std::int64_t{layer.units[u].neurons}, layer.norms[0][u], layer.norms[1][u],
                                  layer.norms[2][u], routed ? AnalysisCell{layer.router.norms[u]} : AnalysisCell{}});
        }
    });
    return table;
}

}  // namespace

AnalysisInfo weightNormsAnalysis() {
    return {.name = "weight-norms",
            .source = AnalysisSource::Checkpoint,
            .parameters = kLayerParameters,
            .needs = "",
            .summary = "by layer and expert: norms of its matrices and of its router row",
            .reference = "MC-Suite's weight norms, by expert and router row",
            .run = weightNormsTable};
}

}  // namespace expertscope
