// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/analysis/weights/gate_regression.h"

#include <cmath>

#include "profiler/analysis/weights/weight_study.h"

namespace expertscope {
namespace {

constexpr double kNoData = std::numeric_limits<double>::quiet_NaN();

/// Mean of the values that are finite.
double meanOf(std::span<const double> values) {
    double sum = 0;
    std::int64_t count = 0;
    for (const double value : values) {
        if (!std::isfinite(value)) continue;
        sum += value;
        ++count;
    }
    return count > 0 ? sum / static_cast<double>(count) : kNoData;
}

AnalysisTable gateRegressionTable(const AnalysisInput& input, Parameters& parameters) {
    StudyInUse study(input);
    const std::vector<LayerIndex> layers = chosenLayers(*study, parameters);
    AnalysisTable table;
    table.counted = study->counted() +
                    " x: cosine of the mean neurons of two routed experts; y: cosine of their router rows; one line by "
                    "least squares through all pairs of a layer. Rows without a layer: means over the layers.";
    table.columns = {"layer", "matrix", "pairs", "r", "r2", "slope", "intercept"};
    std::array<std::vector<double>, 3> correlations;
    std::array<std::int64_t, 3> pairs{};
    forEachLayer(layers, input, [&](LayerIndex index, const std::function<void(double)>& progress) {
        const LayerExpertWeights& layer = study->layer(index, progress);
        for (std::size_t m = 0; m < 3; ++m) {
            const LinearFit fit = fitOfPairs(layer.averaged[m], layer.router.similarity);
            correlations[m].push_back(fit.r);
            pairs[m] += fit.pairs;
            table.rows.push_back({std::int64_t{index.value()}, nameOf(kExpertMatrices[m]), fit.pairs, fit.r,
                                  fit.r * fit.r, fit.slope, fit.intercept});
        }
    });
    for (std::size_t m = 0; m < 3; ++m)
        table.rows.push_back({AnalysisCell{}, nameOf(kExpertMatrices[m]), pairs[m], meanOf(correlations[m]),
                              meanSquare(correlations[m]), AnalysisCell{}, AnalysisCell{}});
    if (std::isnan(meanOf(correlations[1]))) table.counted += " No layer has the three pairs that a line needs.";
    return table;
}

}  // namespace

LinearFit linearFit(std::span<const double> x, std::span<const double> y) {
    LinearFit fit;
    double meanX = 0, meanY = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
        if (!std::isfinite(x[i]) || !std::isfinite(y[i])) continue;
        ++fit.pairs;
        meanX += (x[i] - meanX) / static_cast<double>(fit.pairs);
        meanY += (y[i] - meanY) / static_cast<double>(fit.pairs);
    }
    if (fit.pairs < 3) return fit;
    double xx = 0, yy = 0, xy = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
        if (!std::isfinite(x[i]) || !std::isfinite(y[i])) continue;
        xx += (x[i] - meanX) * (x[i] - meanX);
        yy += (y[i] - meanY) * (y[i] - meanY);
        xy += (x[i] - meanX) * (y[i] - meanY);
    }
    if (xx <= 0 || yy <= 0) return fit;
    fit.r = xy / std::sqrt(xx * yy);
    fit.slope = xy / xx;
    fit.intercept = meanY - fit.slope * meanX;
    return fit;
}

LinearFit fitOfPairs(const SimilarityMatrix& neurons, const SimilarityMatrix& router) {
    std::vector<double> x, y;
    for (std::size_t a = 0; a < router.size(); ++a) {
        for (std::size_t b = 0; b < a; ++b) {
            x.push_back(neurons.at(a, b));
            y.push_back(router.at(a, b));
        }
    }
    return linearFit(x, y);
}

double meanSquare(std::span<const double> correlations) {
    std::vector<double> squares(correlations.begin(), correlations.end());
    for (double& value : squares)
        value *= value;
    return meanOf(squares);
}

AnalysisInfo gateRegressionAnalysis() {
    return {.name = "gate-regression",
            .source = AnalysisSource::Checkpoint,
            .parameters = kLayerParameters,
            .needs = "",
            .summary = "by layer and matrix: how far router-row similarity follows expert similarity (r, R²)",
            .reference = "Look-into-MoEs (arXiv 2406.18219), tables 3 and 5",
            .run = gateRegressionTable};
}

}  // namespace expertscope
