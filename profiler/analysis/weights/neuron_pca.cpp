// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/analysis/weights/neuron_pca.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>

#include <Eigen/Core>
#include <fmt/format.h>

#include "engine/compute/thread_pool.h"
#include "profiler/analysis/weights/expert_weights.h"
#include "profiler/analysis/weights/gram.h"
#include "profiler/analysis/weights/largest_eigenpairs.h"
#include "profiler/analysis/weights/weight_study.h"

namespace expertscope {
namespace {

constexpr double kNoData = std::numeric_limits<double>::quiet_NaN();

/// Sums of the features of many neurons and of their products.
class FeatureSums {
public:
    explicit FeatureSums(std::size_t features) : m_sums(features), m_products(features) {}

    /// neurons [count, H].
    void add(std::span<const float> neurons, ThreadPool& pool) {
        const std::size_t features = m_sums.size(), count = neurons.size() / features;
        for (std::size_t first = 0; first < count; first += kBlock) {
            const std::size_t length = std::min(kBlock, count - first);
            turn(neurons.subspan(first * features, length * features), length);
            m_products.add(m_block.data(), length, pool);
        }
        m_count += static_cast<double>(count);
    }

    double count() const { return m_count; }
    const std::vector<double>& sums() const { return m_sums; }
    std::vector<double> products() const { return m_products.values(); }

private:
    static constexpr std::size_t kBlock = 512;  // neurons

    /// Into m_block [H, length], a feature a row.
    void turn(std::span<const float> neurons, std::size_t length) {
        const std::size_t features = m_sums.size();
        m_block.resize(features * length);
        for (std::size_t n = 0; n < length; ++n) {
            for (std::size_t h = 0; h < features; ++h) {
                m_block[h * length + n] = neurons[n * features + h];
                m_sums[h] += static_cast<double>(neurons[n * features + h]);
            }
        }
    }

    std::vector<double> m_sums;
    Gram m_products;
    std::vector<float> m_block;
    double m_count = 0;
};

void findAxes(NeuronSpace& space, const FeatureSums& sums) {
    const std::size_t features = sums.sums().size();
    const double count = sums.count();
    std::vector<double> covariance = sums.products();
    for (std::size_t h = 0; h < features; ++h) {
        const double mean = sums.sums()[h] / count;
        const double square = covariance[h * features + h];
        const double variance = (square - count * mean * mean) / (count - 1);
        space.means.push_back(mean);
        // What is left of the squares by cancellation of float32 sums is no variance.
        space.scales.push_back(variance > 1e-6 * square / count ? 1 / std::sqrt(variance) : 0.0);
    }
    double whole = 0;
    for (std::size_t a = 0; a < features; ++a) {
        for (std::size_t b = 0; b < features; ++b)
            covariance[a * features + b] = (covariance[a * features + b] - count * space.means[a] * space.means[b]) *
                                           space.scales[a] * space.scales[b] / (count - 1);
        whole += covariance[a * features + a];
    }
    if (whole <= 0) return;
    using Vector = Eigen::Map<Eigen::VectorXd>;
    const auto n = static_cast<Eigen::Index>(features);
    const Eigen::Map<const Eigen::MatrixXd> matrix(covariance.data(), n, n);
    const auto apply = [&](std::span<const double> x, std::span<double> y) {
        Vector(y.data(), n).noalias() = matrix * Eigen::Map<const Eigen::VectorXd>(x.data(), n);
    };
    std::vector<Eigenpair> pairs = largestEigenpairs(features, 3, 1e-9, apply);
    for (std::size_t k = 0; k < pairs.size(); ++k) {
        space.axes[k] = std::move(pairs[k].vector);
        space.variances[k] = std::max(pairs[k].value, 0.0);
        space.shares[k] = space.variances[k] / whole;
    }
}

/// Whether a unit's values of this matrix are numbers.
std::vector<std::size_t> finiteUnits(const LayerExpertWeights& layer, ExpertMatrix matrix) {
    std::vector<std::size_t> units;
    for (std::size_t u = 0; u < layer.units.size(); ++u)
        if (std::isfinite(layer.norms[static_cast<std::size_t>(matrix)][u])) units.push_back(u);
    return units;
}

/// A neuron's place in the space.
struct NeuronPoint {
    std::array<double, 3> at{};
    double distance = 0;  ///< from the centre, in standard deviations of the first two components
    bool outlier() const { return distance > kNeuronOutlierDistance; }
};

NeuronPoint pointOf(const NeuronSpace& space, std::span<const float> neuron) {
    NeuronPoint point;
    for (std::size_t h = 0; h < neuron.size(); ++h) {
        const double z = (static_cast<double>(neuron[h]) - space.means[h]) * space.scales[h];
        for (std::size_t k = 0; k < 3; ++k)
            if (!space.axes[k].empty()) point.at[k] += z * space.axes[k][h];
    }
    double square = 0;
    for (std::size_t k = 0; k < 2; ++k)
        if (space.variances[k] > 0) square += point.at[k] * point.at[k] / space.variances[k];
    point.distance = std::sqrt(square);
    if (space.axes[2].empty()) point.at[2] = kNoData;
    return point;
}

/// use(place of the unit, neuron, point) for the neurons for which wanted(counter over all units) holds.
template <class Wanted, class Use>
void forEachPoint(const ExpertMatrices& weights, LayerIndex layer, const NeuronSpace& space, Wanted&& wanted,
                  Use&& use) {
    const auto hidden = static_cast<std::size_t>(weights.hidden());
    std::int64_t counter = 0;
    for (const std::size_t unit : space.units) {
        const std::vector<float> neurons = weights.neurons(layer, unit, space.matrix);
        for (std::size_t n = 0; n * hidden < neurons.size(); ++n, ++counter)
            if (wanted(counter)) use(unit, n, pointOf(space, std::span(neurons).subspan(n * hidden, hidden)));
    }
}

std::int64_t neuronsOf(const ExpertMatrices& weights, LayerIndex layer, const NeuronSpace& space) {
    std::int64_t count = 0;
    for (const std::size_t unit : space.units)
        count += weights.units(layer)[unit].neurons;
    return count;
}

/// Calls use(layer, space) for each of the three matrices of the layers asked for; says in the table what lacks.
template <class Use>
void forEachSpace(AnalysisTable& table, StudyInUse& study, const std::vector<LayerIndex>& layers,
                  const AnalysisInput& input, Use&& use) {
    std::int64_t leftOut = 0, without = 0;
    forEachLayer(layers, input, [&](LayerIndex index, const std::function<void(double)>& progress) {
        for (std::size_t m = 0; m < 3; ++m) {
            const auto part = [&](double done) {
                if (progress) progress((static_cast<double>(m) + done) / 3);
            };
            const NeuronSpace space = neuronSpace(*study, index, kExpertMatrices[m], part);
            leftOut += static_cast<std::int64_t>(study->weights().units(index).size() - space.units.size());
            if (space.empty())
                ++without;
            else
                use(index, space);
        }
    });
    if (leftOut > 0)
        table.counted += fmt::format(" Left out: {} matrices with values that are not finite numbers.", leftOut);
    if (without > 0)
        table.counted +=
            fmt::format(" {} matrices of layers have no components: they need neurons that differ.", without);
}

const char* const kHow =
    " All neurons of a layer (rows of up and gate, columns of down) are points, z-scored by input; the first principal "
    "components. distance: from the centre in standard deviations of the first two; outlier: more than 3, where a "
    "normal cloud has 1.1 %.";

/// Where a unit's neurons lie.
struct UnitCloud {
    std::int64_t neurons = 0, outliers = 0;
    double pc1 = 0, pc2 = 0, distance = 0;  ///< sums

    void add(const NeuronPoint& point) {
        ++neurons;
        outliers += point.outlier() ? 1 : 0;
        pc1 += point.at[0];
        pc2 += point.at[1];
        distance += point.distance;
    }
};

AnalysisTable neuronPcaTable(const AnalysisInput& input, Parameters& parameters) {
    StudyInUse study(input);
    const std::vector<LayerIndex> layers = chosenLayers(*study, parameters);
    AnalysisTable table;
    table.counted = study->counted() + kHow;
    table.columns = {"layer",     "matrix",   "expert",   "neurons",       "pc1_share", "pc2_share",
                     "pc3_share", "pc1_mean", "pc2_mean", "mean_distance", "outliers"};
    forEachSpace(table, study, layers, input, [&](LayerIndex index, const NeuronSpace& space) {
        const std::vector<WeightUnit>& units = study->weights().units(index);
        std::vector<UnitCloud> clouds(units.size());
        forEachPoint(
            study->weights(), index, space, [](std::int64_t) { return true; },
            [&](std::size_t unit, std::size_t, const NeuronPoint& point) { clouds[unit].add(point); });
        for (const std::size_t unit : space.units) {
            const UnitCloud& cloud = clouds[unit];
            const auto count = static_cast<double>(cloud.neurons);
            table.rows.push_back({std::int64_t{index.value()}, nameOf(space.matrix), unitCell(units[unit]),
                                  cloud.neurons, space.shares[0], space.shares[1], space.shares[2], cloud.pc1 / count,
                                  cloud.pc2 / count, cloud.distance / count, cloud.outliers});
        }
    });
    return table;
}

AnalysisTable neuronPcaPointsTable(const AnalysisInput& input, Parameters& parameters) {
    StudyInUse study(input);
    const std::vector<LayerIndex> layers = chosenLayers(*study, parameters);
    const int points = parameters.integer("points", 1000, 1, 1 << 24);
    AnalysisTable table;
    table.counted = study->counted() + kHow;
    table.columns = {"layer", "matrix", "expert", "neuron", "pc1", "pc2", "pc3", "distance", "outlier"};
    std::int64_t all = 0;
    forEachSpace(table, study, layers, input, [&](LayerIndex index, const NeuronSpace& space) {
        const std::int64_t count = neuronsOf(study->weights(), index, space);
        all += count;
        const std::int64_t wanted = std::min<std::int64_t>(points, count);
        forEachPoint(
            study->weights(), index, space,
            [&](std::int64_t n) { return (n + 1) * wanted / count > n * wanted / count; },
            [&](std::size_t unit, std::size_t neuron, const NeuronPoint& point) {
                table.rows.push_back({std::int64_t{index.value()}, nameOf(space.matrix),
                                      unitCell(study->weights().units(index)[unit]), static_cast<std::int64_t>(neuron),
                                      point.at[0], point.at[1], point.at[2], point.distance,
                                      std::int64_t{point.outlier() ? 1 : 0}});
            });
    });
    table.counted += fmt::format(" {} of {} neurons are listed.", table.rows.size(), all);
    return table;
}

}  // namespace

NeuronSpace neuronSpace(WeightStudy& study, LayerIndex layer, ExpertMatrix matrix,
                        const std::function<void(double)>& progress) {
    const auto part = [&](double from, double done) {
        if (progress) progress((from + done) / 2);
    };
    const LayerExpertWeights& known = study.layer(layer, [&](double done) { part(0, done); });
    NeuronSpace space;
    space.matrix = matrix;
    space.units = finiteUnits(known, matrix);
    FeatureSums sums(static_cast<std::size_t>(study.weights().hidden()));
    for (std::size_t n = 0; n < space.units.size(); ++n) {
        part(1, static_cast<double>(n) / static_cast<double>(space.units.size()));
        sums.add(study.weights().neurons(layer, space.units[n], matrix), study.pool());
    }
    if (sums.count() >= 2) findAxes(space, sums);
    return space;
}

AnalysisInfo neuronPcaAnalysis() {
    return {.name = "neuron-pca",
            .source = AnalysisSource::Checkpoint,
            .parameters = kLayerParameters,
            .needs = "",
            .summary = "by layer, matrix and expert: how its neurons lie among all neurons' principal components",
            .reference = "Look-into-MoEs (arXiv 2406.18219)",
            .run = neuronPcaTable};
}

AnalysisInfo neuronPcaPointsAnalysis() {
    return {.name = "neuron-pca-points",
            .source = AnalysisSource::Checkpoint,
            .parameters = "layer=-1 (all), every=1, points=1000 (evenly drawn, of each layer and matrix)",
            .needs = "",
            .summary = "by neuron: its place on the first three principal components of its layer's neurons",
            .reference = "Look-into-MoEs (arXiv 2406.18219)",
            .run = neuronPcaPointsTable};
}

}  // namespace expertscope
