// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/analysis/weights/expert_pca.h"

#include <cmath>
#include <limits>
#include <numeric>

#include <Eigen/Dense>
#include <fmt/format.h>

#include "profiler/analysis/weights/gram.h"
#include "profiler/analysis/weights/outliers.h"
#include "profiler/analysis/weights/weight_slices.h"
#include "profiler/analysis/weights/weight_study.h"

namespace expertscope {
namespace {

/// Turns a piece's elements into their z-scores over the units; constant elements become zero.
class ZScores {
public:
    /// [units, length] like the piece.
    const float* of(const WeightPiece& piece, std::size_t units) {
        m_scores.assign(piece.values, piece.values + units * piece.length);
        m_means.assign(piece.length, 0.0);
        m_squares.assign(piece.length, 0.0);
        const auto count = static_cast<double>(units);
        forEach(piece.length, units, [&](std::size_t c, float& x) { m_means[c] += static_cast<double>(x); });
        for (double& mean : m_means)
            mean /= count;  // of equal values exactly that value, so that their squares below are exactly zero
        forEach(piece.length, units, [&](std::size_t c, float& x) {
            const double away = static_cast<double>(x) - m_means[c];
            m_squares[c] += away * away;
            x = static_cast<float>(away);
        });
        for (double& square : m_squares) {
            if (square <= 0) ++m_constant;
            square = square > 0 ? std::sqrt((count - 1) / square) : 0.0;
        }
        forEach(piece.length, units, [&](std::size_t c, float& x) { x *= static_cast<float>(m_squares[c]); });
        return m_scores.data();
    }
    std::int64_t constant() const { return m_constant; }

private:
    template <class Use>
    void forEach(std::size_t length, std::size_t units, Use&& use) {
        for (std::size_t u = 0; u < units; ++u)
            for (std::size_t c = 0; c < length; ++c)
                use(c, m_scores[u * length + c]);
    }

    std::vector<float> m_scores;
    std::vector<double> m_means, m_squares;
    std::int64_t m_constant = 0;
};

std::int64_t asWide(const std::vector<WeightUnit>& units) {
    return std::ranges::count(units, units.front().neurons, &WeightUnit::neurons);
}

/// Units as wide as the routed experts whose matrices are finite.
std::vector<std::size_t> comparableUnits(const LayerExpertWeights& layer) {
    std::vector<std::size_t> units;
    for (std::size_t u = 0; u < layer.units.size(); ++u) {
        bool finite = layer.units[u].neurons == layer.units.front().neurons;
        for (const std::vector<double>& norms : layer.norms)
            finite = finite && std::isfinite(norms[u]);
        if (finite) units.push_back(u);
    }
    return units;
}

void placePoints(ExpertPlane& plane, std::span<const double> gram) {
    const auto n = static_cast<Eigen::Index>(plane.units.size());
    const Eigen::Map<const Eigen::MatrixXd> matrix(gram.data(), n, n);
    const double whole = matrix.trace();
    if (n < 2 || whole <= 0) return;
    const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(matrix);
    plane.points.resize(plane.units.size());
    for (std::size_t k = 0; k < 2; ++k) {
        const Eigen::Index at = n - 1 - static_cast<Eigen::Index>(k);
        const double value = std::max(solver.eigenvalues()[at], 0.0);
        plane.shares[k] = value / whole;
        Eigen::VectorXd vector = solver.eigenvectors().col(at) * std::sqrt(value);
        Eigen::Index largest = 0;
        vector.cwiseAbs().maxCoeff(&largest);
        if (vector[largest] < 0) vector = -vector;
        for (std::size_t u = 0; u < plane.points.size(); ++u)
            plane.points[u][k] = vector[static_cast<Eigen::Index>(u)];
    }
    const std::vector<double> scores = modifiedScores(distancesFromMedian(plane.points));
    for (const double score : scores)
        plane.outliers.push_back(score >= kOutlierScore);
}

AnalysisTable expertPcaTable(const AnalysisInput& input, Parameters& parameters) {
    StudyInUse study(input);
    const std::vector<LayerIndex> layers = chosenLayers(*study, parameters);
    AnalysisTable table;
    table.counted = study->counted() +
                    fmt::format(
                        " Every element of a matrix is a feature, z-scored over the experts; the first two principal "
                        "components and their shares of the variance. outlier: {} modified z-scores or more from the "
                        "layer's median point.",
                        kOutlierScore);
    table.columns = {"layer", "matrix", "expert", "pc1", "pc2", "pc1_share", "pc2_share", "outlier"};
    std::int64_t leftOut = 0, constant = 0, without = 0;
    forEachLayer(layers, input, [&](LayerIndex index, const std::function<void(double)>& progress) {
        const std::array<ExpertPlane, 3> planes = expertPlanes(*study, index, progress);
        for (std::size_t m = 0; m < 3; ++m) {
            const ExpertPlane& plane = planes[m];
            constant += plane.constant;
            without += plane.points.empty() ? 1 : 0;
            if (m == 0)
                leftOut += asWide(study->weights().units(index)) - static_cast<std::int64_t>(plane.units.size());
            for (std::size_t u = 0; u < plane.points.size(); ++u)
                table.rows.push_back({std::int64_t{index.value()}, nameOf(kExpertMatrices[m]), unitCell(plane.units[u]),
                                      plane.points[u][0], plane.points[u][1], plane.shares[0], plane.shares[1],
                                      std::int64_t{plane.outliers[u] ? 1 : 0}});
        }
    });
    if (leftOut > 0)
        table.counted += fmt::format(" Left out: {} experts with weights that are not all finite numbers.", leftOut);
    if (constant > 0)
        table.counted += fmt::format(" {} features have one value in all experts and count as zero.", constant);
    if (without > 0)
        table.counted +=
            fmt::format(" {} matrices of layers have no plane: it needs two experts that differ.", without);
    return table;
}

}  // namespace

std::array<ExpertPlane, 3> expertPlanes(WeightStudy& study, LayerIndex layer,
                                        const std::function<void(double)>& progress) {
    const auto part = [&](double from, double done) {
        if (progress) progress((from + done) / 2);
    };
    const LayerExpertWeights& known = study.layer(layer, [&](double done) { part(0, done); });
    const std::vector<std::size_t> units = comparableUnits(known);
    std::array<ExpertPlane, 3> planes;
    for (ExpertPlane& plane : planes)
        for (const std::size_t u : units)
            plane.units.push_back(known.units[u]);
    if (units.size() < 2) return planes;
    const ExpertMatrices& weights = study.weights();
    const std::vector<WeightSlice> slices = slicesOf(weights, layer, units.front(), units.size() <= 256 ? 8 : 1);
    std::vector<Gram> grams(slices.size(), Gram(units.size()));
    std::vector<std::int64_t> constant(slices.size());
    forEachSlice(
        study.pool(), slices.size(), [&](double done) { part(1, done); },
        [&](std::size_t n, std::size_t) {
            ZScores scores;
            SliceReader(weights, layer, units).read(slices[n], [&](const WeightPiece& piece) {
                grams[n].add(scores.of(piece, units.size()), piece.length);
            });
            constant[n] = scores.constant();
        });
    for (std::size_t m = 0; m < 3; ++m) {
        Gram gram(units.size());
        for (std::size_t n = 0; n < slices.size(); ++n) {
            if (static_cast<std::size_t>(slices[n].matrix) != m) continue;
            gram.add(grams[n]);
            planes[m].constant += constant[n];
        }
        planes[m].features = std::int64_t{known.units[units.front()].neurons} * weights.hidden();
        placePoints(planes[m], gram.values());
    }
    return planes;
}

AnalysisInfo expertPcaAnalysis() {
    return {.name = "expert-pca",
            .source = AnalysisSource::Checkpoint,
            .parameters = kLayerParameters,
            .needs = "",
            .summary = "by layer, matrix and expert: its place in the plane of the first two principal components",
            .reference = "Look-into-MoEs (arXiv 2406.18219), fig. 3",
            .run = expertPcaTable};
}

}  // namespace expertscope
