// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/analysis/weights/stable_rank.h"

#include <cmath>
#include <limits>

#include "engine/compute/kernels.h"
#include "profiler/analysis/weights/expert_weights.h"
#include "profiler/analysis/weights/largest_eigenpairs.h"
#include "profiler/analysis/weights/weight_slices.h"
#include "profiler/analysis/weights/weight_study.h"

namespace expertscope {
namespace {

constexpr double kNoData = std::numeric_limits<double>::quiet_NaN();

double sumOfSquares(std::span<const float> values) {
    double sum = 0;
    for (const float value : values)
        sum += static_cast<double>(value) * static_cast<double>(value);
    return sum;
}

struct MatrixRank {
    double stableRank = kNoData, spectralNorm = kNoData;
};

MatrixRank rankOf(std::span<const float> matrix, std::size_t rows) {
    MatrixRank rank;
    rank.spectralNorm = spectralNorm(matrix, rows);
    if (rank.spectralNorm > 0) rank.stableRank = sumOfSquares(matrix) / (rank.spectralNorm * rank.spectralNorm);
    return rank;
}

AnalysisTable stableRankTable(const AnalysisInput& input, Parameters& parameters) {
    StudyInUse study(input);
    const ExpertMatrices& weights = study->weights();
    const std::vector<LayerIndex> layers = chosenLayers(*study, parameters);
    AnalysisTable table;
    table.counted = study->counted() +
                    " Stable rank: squared Frobenius norm over squared spectral norm (the largest singular value); 1 "
                    "for a matrix of one direction, at most its rank.";
    table.columns = {"layer",     "expert",      "up_rank",       "gate_rank",
                     "down_rank", "up_spectral", "gate_spectral", "down_spectral"};
    forEachLayer(layers, input, [&](LayerIndex index, const std::function<void(double)>& progress) {
        const std::vector<WeightUnit>& units = weights.units(index);
        std::vector<MatrixRank> ranks(units.size() * 3);
        forEachSlice(study->pool(), ranks.size(), progress, [&](std::size_t item, std::size_t) {
            const std::vector<float> matrix = weights.neurons(index, item / 3, kExpertMatrices[item % 3]);
            ranks[item] = rankOf(matrix, static_cast<std::size_t>(units[item / 3].neurons));
        });
        for (std::size_t u = 0; u < units.size(); ++u) {
            std::vector<AnalysisCell> row{std::int64_t{index.value()}, unitCell(units[u])};
            for (std::size_t m = 0; m < 3; ++m)
                row.emplace_back(ranks[3 * u + m].stableRank);
            for (std::size_t m = 0; m < 3; ++m)
                row.emplace_back(ranks[3 * u + m].spectralNorm);
            table.rows.push_back(std::move(row));
        }
    });
    return table;
}

}  // namespace

double spectralNorm(std::span<const float> matrix, std::size_t rows) {
    const double square = sumOfSquares(matrix);
    if (!std::isfinite(square)) return kNoData;
    if (square <= 0) return 0;
    const std::size_t columns = matrix.size() / rows;
    const Kernels& kernels = Kernels::vectorised();
    const MatrixView view{reinterpret_cast<const std::byte*>(matrix.data()), ElementType::F32, static_cast<int>(rows),
                          static_cast<int>(columns)};
    std::vector<float> in(columns), through(rows), out(columns);
    const auto apply = [&](std::span<const double> x, std::span<double> y) {
        std::ranges::transform(x, in.begin(), [](double value) { return static_cast<float>(value); });
        kernels.matmul(view, in.data(), 1, 0, view.rows, through.data());
        std::ranges::fill(out, 0.0F);
        for (std::size_t r = 0; r < rows; ++r)
            kernels.addScaled(through[r], matrix.data() + r * columns, view.cols, out.data());
        std::ranges::copy(out, y.begin());
    };
    // An eigenvalue's error is of the order of its residual's square.
    return std::sqrt(largestEigenpairs(columns, 1, 1e-5, apply).front().value);
}

AnalysisInfo stableRankAnalysis() {
    return {.name = "stable-rank",
            .source = AnalysisSource::Checkpoint,
            .parameters = kLayerParameters,
            .needs = "",
            .summary = "by layer and expert: how many directions its matrices have, weighted, and their largest gain",
            .reference = "stable rank: Rudelson and Vershynin 2007 (arXiv math/0503442); as an importance: MC-Suite",
            .run = stableRankTable};
}

}  // namespace expertscope
