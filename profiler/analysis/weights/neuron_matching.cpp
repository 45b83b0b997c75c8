// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/analysis/weights/neuron_matching.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "engine/compute/kernels.h"
#include "profiler/analysis/weights/assignment.h"
#include "profiler/analysis/weights/expert_weights.h"
#include "profiler/analysis/weights/weight_slices.h"
#include "profiler/analysis/weights/weight_study.h"

namespace expertscope {
namespace {

constexpr double kNoData = std::numeric_limits<double>::quiet_NaN();

/// Of a's neurons: so many products at once; and what part of a match the products take, for who waits.
constexpr std::size_t kRowsAtOnce = 256;
constexpr double kProductsPart = 0.3;

struct Pair {
    std::size_t a, b;  ///< places in the layer's list of units
};

/// Which pairs are asked for.
struct PairChoice {
    int a, b;            ///< only pairs with this expert; −1: any
    std::size_t wanted;  ///< at most so many, evenly drawn
    bool takes(const WeightUnit& first, const WeightUnit& second) const {
        const auto has = [&](int expert) { return expert < 0 || first.expert == expert || second.expert == expert; };
        return has(a) && has(b);
    }
};

/// Of the pairs of units that are as wide as a routed expert.
std::vector<Pair> drawPairs(const std::vector<WeightUnit>& units, const PairChoice& choice) {
    std::vector<Pair> all, drawn;
    for (std::size_t a = 0; a < units.size(); ++a)
        for (std::size_t b = a + 1; b < units.size(); ++b)
            if (units[a].neurons == units.front().neurons && units[b].neurons == units.front().neurons &&
                choice.takes(units[a], units[b]))
                all.push_back({a, b});
    const std::size_t count = std::min(choice.wanted, all.size());
    for (std::size_t n = 0; n < count; ++n)
        drawn.push_back(all[n * all.size() / count]);
    return drawn;
}

/// `count` of the rows, evenly drawn.
std::vector<float> drawNeurons(std::vector<float> neurons, std::size_t all, std::size_t count) {
    if (count >= all) return neurons;
    const std::size_t width = neurons.size() / all;
    for (std::size_t n = 0; n < count; ++n)  // never behind what is still to be read
        std::copy_n(neurons.begin() + static_cast<std::ptrdiff_t>(n * all / count * width), width,
                    neurons.begin() + static_cast<std::ptrdiff_t>(n * width));
    neurons.resize(count * width);
    return neurons;
}

double cosineOf(double product, double squareA, double squareB) {
    const double lengths = std::sqrt(squareA) * std::sqrt(squareB);
    return std::isfinite(lengths) && lengths > 0 ? product / lengths : kNoData;
}

std::vector<double> squaresOf(std::span<const float> rows, std::size_t count) {
    std::vector<double> squares(count);
    const std::size_t width = rows.size() / count;
    for (std::size_t i = 0; i < rows.size(); ++i)
        squares[i / width] += static_cast<double>(rows[i]) * static_cast<double>(rows[i]);
    return squares;
}

double sumOf(const std::vector<double>& values) {
    double sum = 0;
    for (const double value : values)
        sum += value;
    return sum;
}

/// Means over the pairs that have a match.
struct MatchMeans {
    NeuronMatch mean{0, 0, 0};
    std::int64_t pairs = 0;

    void add(const NeuronMatch& match) {
        if (!std::isfinite(match.before)) return;
        ++pairs;
        const auto count = static_cast<double>(pairs);
        mean.before += (match.before - mean.before) / count;
        mean.after += (match.after - mean.after) / count;
        mean.kendallTau += (match.kendallTau - mean.kendallTau) / count;
    }
};

void addRow(AnalysisTable& table, std::vector<AnalysisCell> head, const NeuronMatch& match) {
    head.insert(head.end(), {match.before, match.after, match.growth(), match.kendallTau});
    table.rows.push_back(std::move(head));
}

AnalysisTable neuronMatchingTable(const AnalysisInput& input, Parameters& parameters) {
    StudyInUse study(input);
    const ExpertMatrices& weights = study->weights();
    const std::vector<LayerIndex> layers = chosenLayers(*study, parameters);
    const PairChoice choice{parameters.integer("a", -1, -1, weights.experts() - 1),
                            parameters.integer("b", -1, -1, weights.experts() - 1),
                            static_cast<std::size_t>(parameters.integer("pairs", 28, 1, 1 << 24))};
    const auto most = static_cast<std::size_t>(parameters.integer("neurons", 512, 2, 1 << 20));
    const auto all = static_cast<std::size_t>(weights.units(LayerIndex(0)).front().neurons);
    const std::size_t count = std::min(most, all);
    AnalysisTable table;
    table.counted = study->counted() +
                    " The neurons of expert_b are put into the order in which they fit those of expert_a best; before "
                    "and after: cosine of the matrices; growth: (after − before) / |before|; Kendall's τ of the new "
                    "order and the old. Rows without a layer: means over the pairs.";
    table.columns = {"layer", "matrix", "expert_a", "expert_b", "neurons", "before", "after", "growth", "kendall_tau"};
    std::array<MatchMeans, 3> means;
    std::size_t pairsOfLayer = 0;
    forEachLayer(layers, input, [&](LayerIndex index, const std::function<void(double)>& progress) {
        const std::vector<WeightUnit>& units = weights.units(index);
        const std::vector<Pair> pairs = drawPairs(units, choice);
        pairsOfLayer = std::max(pairsOfLayer, pairs.size());
        std::vector<NeuronMatch> matches(pairs.size() * 3);
        forEachLongItem(study->pool(), matches.size(), progress, [&](std::size_t item, std::size_t, const auto& pause) {
            const auto [a, b] = pairs[item / 3];
            const ExpertMatrix matrix = kExpertMatrices[item % 3];
            matches[item] = matchNeurons(drawNeurons(weights.neurons(index, a, matrix), all, count),
                                         drawNeurons(weights.neurons(index, b, matrix), all, count), count, pause);
        });
        for (std::size_t item = 0; item < matches.size(); ++item) {
            const auto [a, b] = pairs[item / 3];
            means[item % 3].add(matches[item]);
            addRow(table,
                   {std::int64_t{index.value()}, nameOf(kExpertMatrices[item % 3]), unitCell(units[a]),
                    unitCell(units[b]), static_cast<std::int64_t>(count)},
                   matches[item]);
        }
    });
    if (pairsOfLayer == 0) {
        table.counted += " Nothing was counted: a pair needs two different experts in a layer.";
        return table;
    }
    for (std::size_t m = 0; m < 3; ++m)
        addRow(table,
               {AnalysisCell{}, nameOf(kExpertMatrices[m]), AnalysisCell{}, AnalysisCell{},
                static_cast<std::int64_t>(count)},
               means[m].pairs > 0 ? means[m].mean : NeuronMatch{});
    table.counted += fmt::format(" Counted: {} pairs of each layer and {} of {} neurons of each expert, evenly drawn.",
                                 pairsOfLayer, count, all);
    return table;
}

}  // namespace

double NeuronMatch::growth() const { return (after - before) / std::abs(before); }

NeuronMatch matchNeurons(std::span<const float> a, std::span<const float> b, std::size_t neurons,
                         const std::function<void(double)>& pause) {
    NeuronMatch match;
    const std::vector<double> squaresA = squaresOf(a, neurons), squaresB = squaresOf(b, neurons);
    const double squareA = sumOf(squaresA), squareB = sumOf(squaresB);
    if (!std::isfinite(cosineOf(1, squareA, squareB))) return match;
    std::vector<float> products(neurons * neurons), cosines(neurons * neurons);
    const MatrixView view{reinterpret_cast<const std::byte*>(b.data()), ElementType::F32, static_cast<int>(neurons),
                          static_cast<int>(b.size() / neurons)};
    for (std::size_t first = 0; first < neurons; first += kRowsAtOnce) {
        if (pause) pause(kProductsPart * static_cast<double>(first) / static_cast<double>(neurons));
        Kernels::vectorised().matmul(view, a.data() + first * (a.size() / neurons),
                                     static_cast<int>(std::min(kRowsAtOnce, neurons - first)), 0, view.rows,
                                     products.data() + first * neurons);
    }
    for (std::size_t i = 0; i < neurons; ++i) {
        for (std::size_t j = 0; j < neurons; ++j) {
            const double cosine = cosineOf(static_cast<double>(products[i * neurons + j]), squaresA[i], squaresB[j]);
            cosines[i * neurons + j] = std::isfinite(cosine) ? static_cast<float>(cosine) : 0.0F;  // a neuron of zeros
        }
    }
    const std::vector<std::int32_t> order = bestAssignment(cosines, neurons, [&](double part) {
        if (pause) pause(kProductsPart + (1 - kProductsPart) * part);
    });
    double before = 0, after = 0;
    for (std::size_t i = 0; i < neurons; ++i) {
        before += static_cast<double>(products[i * neurons + i]);
        after += static_cast<double>(products[i * neurons + static_cast<std::size_t>(order[i])]);
    }
    match.before = cosineOf(before, squareA, squareB);
    match.after = cosineOf(after, squareA, squareB);
    match.kendallTau = kendallTau(order);
    return match;
}

AnalysisInfo neuronMatchingAnalysis() {
    return {
        .name = "neuron-matching",
        .source = AnalysisSource::Checkpoint,
        .parameters =
            "layer=-1 (all), every=1, a=-1 (any expert), b=-1 (any other), pairs=28, neurons=512 (both evenly drawn)",
        .needs = "",
        .summary = "by layer, matrix and pair of experts: similarity before and after their neurons are matched",
        .reference = "Look-into-MoEs (arXiv 2406.18219), table 2; Jonker and Volgenant 1987",
        .run = neuronMatchingTable};
}

}  // namespace expertscope
