// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/analysis/weights/weight_pass.h"

#include <cmath>
#include <limits>
#include <map>

#include "profiler/analysis/weights/gram.h"
#include "profiler/analysis/weights/piece_kernels.h"
#include "profiler/analysis/weights/weight_slices.h"

namespace expertscope {
namespace {

constexpr double kNoData = std::numeric_limits<double>::quiet_NaN();

/// Sums over the neurons of each unit: H numbers a unit.
class NeuronSums {
public:
    NeuronSums(std::size_t units, std::size_t hidden) : m_hidden(hidden), m_sums(units * hidden) {}

    void add(const WeightPiece& piece, ExpertMatrix matrix, std::int64_t columns) {
        const std::size_t units = m_sums.size() / m_hidden;
        for (std::size_t u = 0; u < units; ++u) {
            float* const sums = m_sums.data() + u * m_hidden;
            forEachRow(piece, static_cast<std::size_t>(columns),
                       [&](std::size_t row, std::size_t column, std::size_t at, std::size_t length) {
                           const std::span<const float> values{piece.values + u * piece.length + at, length};
                           if (matrix == ExpertMatrix::Down)
                               sums[row] += PieceKernels::sumOf(values);
                           else
                               PieceKernels::addTo(values, sums + column);
                       });
        }
    }

    void addTo(std::vector<double>& totals) const {
        for (std::size_t i = 0; i < m_sums.size(); ++i)
            totals[i] += static_cast<double>(m_sums[i]);
    }

private:
    /// use(row, first column, where in the piece, length) for each row that the piece has a part of.
    template <class Use>
    static void forEachRow(const WeightPiece& piece, std::size_t columns, Use&& use) {
        auto element = static_cast<std::size_t>(piece.first);
        for (std::size_t at = 0; at < piece.length;) {
            const std::size_t length = std::min(columns - element % columns, piece.length - at);
            use(element / columns, element % columns, at, length);
            element += length;
            at += length;
        }
    }

    std::size_t m_hidden;
    std::vector<float> m_sums;  ///< [units, H]: of one slice, whose rows are few enough for float32
};

/// Units of one shape, by place in the layer's list.
using Units = std::vector<std::size_t>;

std::vector<Units> unitsByShape(const std::vector<WeightUnit>& units) {
    std::map<std::int32_t, Units> byWidth;
    for (std::size_t u = 0; u < units.size(); ++u)
        byWidth[units[u].neurons].push_back(u);
    std::vector<Units> groups;
    for (auto& [width, group] : byWidth)
        groups.push_back(std::move(group));
    return groups;
}

/// What is summed over a layer's units of one shape, by ExpertMatrix.
struct GroupSums {
    std::vector<Gram> grams;
    std::array<std::vector<double>, 3> neurons;  ///< [units, H]
};

GroupSums sumGroup(const ExpertMatrices& weights, LayerIndex layer, const Units& group, ThreadPool& pool,
                   const LayerProgress& progress) {
    // Fewer slices where the sums of each would be large.
    const std::vector<WeightSlice> slices = slicesOf(weights, layer, group.front(),
                                                     group.size() <= 256    ? 8
                                                     : group.size() <= 1024 ? 2
                                                                            : 1);
    const auto hidden = static_cast<std::size_t>(weights.hidden());
    std::vector<Gram> grams(slices.size(), Gram(group.size()));
    std::vector<NeuronSums> neurons(slices.size(), NeuronSums(group.size(), hidden));
    std::vector<SliceReader> readers(static_cast<std::size_t>(pool.threads()), SliceReader(weights, layer, group));
    forEachSlice(pool, slices.size(), progress, [&](std::size_t n, std::size_t worker) {
        const std::int64_t columns = weights.columns(layer, group.front(), slices[n].matrix);
        readers[worker].read(slices[n], [&](const WeightPiece& piece) {
            grams[n].add(piece.values, piece.length);
            neurons[n].add(piece, slices[n].matrix, columns);
        });
    });
    GroupSums sums{std::vector<Gram>(3, Gram(group.size())), {}};
    for (std::vector<double>& values : sums.neurons)
        values.assign(group.size() * hidden, 0.0);
    for (std::size_t n = 0; n < slices.size(); ++n) {
        const auto matrix = static_cast<std::size_t>(slices[n].matrix);
        sums.grams[matrix].add(grams[n]);
        neurons[n].addTo(sums.neurons[matrix]);
    }
    return sums;
}

double dot(const double* a, const double* b, std::size_t length) {
    constexpr std::size_t kLanes = 8;
    double lanes[kLanes] = {};
    std::size_t i = 0;
    for (; i + kLanes <= length; i += kLanes)
        for (std::size_t lane = 0; lane < kLanes; ++lane)
            lanes[lane] += a[i + lane] * b[i + lane];
    double sum = 0;
    for (; i < length; ++i)
        sum += a[i] * b[i];
    for (const double lane : lanes)
        sum += lane;
    return sum;
}

/// Cosines of n vectors of equal length, row-major.
std::vector<double> cosinesOfRows(std::span<const double> rows, std::size_t count) {
    const std::size_t length = rows.size() / count;
    std::vector<double> gram(count * count);
    for (std::size_t a = 0; a < count; ++a) {
        for (std::size_t b = 0; b <= a; ++b) {
            const double product = dot(rows.data() + a * length, rows.data() + b * length, length);
            gram[a * count + b] = gram[b * count + a] = product;
        }
    }
    return cosinesOf(gram, count);
}

}  // namespace

RouterWeights readRouterWeights(const ExpertMatrices& weights, LayerIndex layer) {
    const std::vector<float> rows = weights.router(layer);
    const auto experts = static_cast<std::size_t>(weights.experts());
    const std::vector<double> wide(rows.begin(), rows.end());
    const std::size_t length = wide.size() / experts;
    const std::vector<WeightUnit>& units = weights.units(layer);
    RouterWeights router;
    router.similarity.units.assign(units.begin(), units.begin() + weights.experts());
    router.similarity.values = cosinesOfRows(wide, experts);
    for (std::size_t e = 0; e < experts; ++e) {
        const double square = dot(wide.data() + e * length, wide.data() + e * length, length);
        router.norms.push_back(std::isfinite(square) ? std::sqrt(square) : kNoData);
    }
    return router;
}

LayerExpertWeights readLayerWeights(const ExpertMatrices& weights, LayerIndex layer, ThreadPool& pool,
                                    const LayerProgress& progress) {
    LayerExpertWeights result;
    result.layer = layer;
    result.units = weights.units(layer);
    const std::size_t units = result.units.size();
    const auto hidden = static_cast<std::size_t>(weights.hidden());
    std::array<std::vector<double>, 3> means;
    for (std::size_t m = 0; m < 3; ++m) {
        means[m].resize(units * hidden);
        result.norms[m].assign(units, kNoData);
    }
    const std::vector<Units> groups = unitsByShape(result.units);
    for (std::size_t g = 0; g < groups.size(); ++g) {
        const Units& group = groups[g];
        const LayerProgress part = [&](double done) {
            if (progress) progress((static_cast<double>(g) + done) / static_cast<double>(groups.size()));
        };
        const GroupSums sums = sumGroup(weights, layer, group, pool, part);
        for (std::size_t m = 0; m < 3; ++m) {
            const std::vector<double> gram = sums.grams[m].values();
            for (std::size_t i = 0; i < group.size(); ++i) {
                const double square = gram[i * group.size() + i];
                if (std::isfinite(square)) result.norms[m][group[i]] = std::sqrt(square);
                std::copy_n(sums.neurons[m].begin() + static_cast<std::ptrdiff_t>(i * hidden), hidden,
                            means[m].begin() + static_cast<std::ptrdiff_t>(group[i] * hidden));
            }
            if (group.front() != 0) continue;  // not as wide as the routed experts
            for (const std::size_t u : group)
                result.whole[m].units.push_back(result.units[u]);
            result.whole[m].values = cosinesOf(gram, group.size());
        }
    }
    pool.forEach(4, [&](int item, int) {
        if (item == 3) {
            result.router = readRouterWeights(weights, layer);
            return;
        }
        const auto m = static_cast<std::size_t>(item);
        result.averaged[m].units = result.units;
        result.averaged[m].values = cosinesOfRows(means[m], units);
    });
    return result;
}

}  // namespace expertscope
