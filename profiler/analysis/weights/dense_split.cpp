// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/analysis/weights/dense_split.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <optional>

#include <fmt/format.h>

#include "engine/compute/kernels.h"
#include "engine/compute/thread_pool.h"
#include "profiler/analysis/routing/random_choices.h"
#include "profiler/analysis/weights/expert_weights.h"
#include "profiler/analysis/weights/weight_study.h"

namespace expertscope {
namespace {

constexpr double kNoData = std::numeric_limits<double>::quiet_NaN();

/// Neurons of an expert, so that all have as many, to one.
std::size_t roomOf(std::size_t expert, std::size_t experts, std::size_t neurons) {
    return neurons * (expert + 1) / experts - neurons * expert / experts;
}

/// Sums of the experts' neurons, [experts, features], and how many they are.
struct ExpertSums {
    std::vector<double> sums;
    std::vector<double> counts;

    ExpertSums(std::span<const float> neurons, const NeuronSplit& split, std::size_t experts)
        : sums(experts * (neurons.size() / split.size())), counts(experts) {
        const std::size_t features = neurons.size() / split.size();
        for (std::size_t n = 0; n < split.size(); ++n) {
            const auto expert = static_cast<std::size_t>(split[n]);
            counts[expert] += 1;
            for (std::size_t f = 0; f < features; ++f)
                sums[expert * features + f] += static_cast<double>(neurons[n * features + f]);
        }
    }
    /// Σ_e ‖sum_e‖² / count_e: by so much the squares within the experts are less than those of the neurons.
    double explained() const {
        const std::size_t features = sums.size() / counts.size();
        double explained = 0;
        for (std::size_t e = 0; e < counts.size(); ++e) {
            double square = 0;
            for (std::size_t f = 0; f < features; ++f)
                square += sums[e * features + f] * sums[e * features + f];
            if (counts[e] > 0) explained += square / counts[e];
        }
        return explained;
    }
};

/// out[row, r] = W row of x; W [rows, columns].
std::vector<float> product(std::span<const float> w, std::size_t rows, std::span<const float> x, std::size_t count) {
    std::vector<float> out(rows * count);
    const MatrixView view{reinterpret_cast<const std::byte*>(w.data()), ElementType::F32, static_cast<int>(rows),
                          static_cast<int>(w.size() / rows)};
    Kernels::vectorised().matmul(view, x.data(), static_cast<int>(count), 0, view.rows, out.data());
    return out;
}

/// Neurons to the means that are near and have room.
NeuronSplit nearestWithRoom(std::span<const float> neurons, std::size_t count, const ExpertSums& sums) {
    const std::size_t experts = sums.counts.size(), features = neurons.size() / count;
    std::vector<float> means(sums.sums.size());
    std::vector<double> squares(experts);
    for (std::size_t e = 0; e < experts; ++e) {
        for (std::size_t f = 0; f < features; ++f) {
            const double mean = sums.sums[e * features + f] / std::max(sums.counts[e], 1.0);
            means[e * features + f] = static_cast<float>(mean);
            squares[e] += mean * mean;
        }
    }
    const std::vector<float> products = product(means, experts, neurons, count);
    struct Choice {
        double cost;  ///< squared distance, less its average over the experts
        std::int32_t neuron, expert;
    };
    std::vector<Choice> choices;
    for (std::size_t n = 0; n < count; ++n) {
        double average = 0;
        const auto cost = [&](std::size_t e) {
            return squares[e] - 2 * static_cast<double>(products[n * experts + e]);
        };
        for (std::size_t e = 0; e < experts; ++e)
            average += cost(e) / static_cast<double>(experts);
        for (std::size_t e = 0; e < experts; ++e)
            choices.push_back({cost(e) - average, static_cast<std::int32_t>(n), static_cast<std::int32_t>(e)});
    }
    std::ranges::stable_sort(choices, {}, &Choice::cost);
    NeuronSplit split(count, -1);
    std::vector<std::size_t> room(experts);
    for (std::size_t e = 0; e < experts; ++e)
        room[e] = roomOf(e, experts, count);
    for (const Choice& choice : choices) {
        std::int32_t& expert = split[static_cast<std::size_t>(choice.neuron)];
        std::size_t& left = room[static_cast<std::size_t>(choice.expert)];
        if (expert >= 0 || left == 0) continue;
        expert = choice.expert;
        --left;
    }
    return split;
}

/// A dense FFN of one layer, in the order of its neurons.
struct DenseFfn {
    std::vector<float> up, gate, down;  ///< [neurons, H]
    std::size_t neurons = 0;

    DenseFfn(const ExpertMatrices& weights, LayerIndex layer, std::size_t unit)
        : up(weights.neurons(layer, unit, ExpertMatrix::Up)),
          gate(weights.neurons(layer, unit, ExpertMatrix::Gate)),
          down(weights.neurons(layer, unit, ExpertMatrix::Down)),
          neurons(static_cast<std::size_t>(weights.units(layer)[unit].neurons)) {}

    bool finite() const {
        const auto all = [](const std::vector<float>& values) {
            return std::ranges::all_of(values, [](float value) { return std::isfinite(value); });
        };
        return all(up) && all(gate) && all(down);
    }
};

/// What `keep` of the experts leave of the FFN's output: Σ ‖y − Σ of the kept‖² / Σ ‖y‖², those kept that give most by
/// norm, for inputs of standard normal values.
class OutputLoss {
public:
    OutputLoss(const DenseFfn& ffn, std::size_t inputs, std::uint64_t seed) : m_ffn(ffn), m_inputs(inputs) {
        RandomChoices random(seed);
        std::vector<float> x(inputs * (ffn.up.size() / ffn.neurons));
        for (float& value : x)
            value = static_cast<float>(random.normal());
        m_activations = product(ffn.gate, ffn.neurons, x, inputs);
        const std::vector<float> up = product(ffn.up, ffn.neurons, x, inputs);
        Kernels::vectorised().siluMultiply(m_activations.data(), up.data(), static_cast<int>(up.size()),
                                           m_activations.data());
    }

    double of(const NeuronSplit& split, std::size_t experts, std::size_t keep, ThreadPool& pool) const {
        const std::size_t hidden = m_ffn.down.size() / m_ffn.neurons;
        std::vector<std::vector<float>> outputs(experts);  // [inputs, H] of each
        pool.forEach(static_cast<int>(experts), [&](int expert, int) {
            outputs[static_cast<std::size_t>(expert)] = outputsOf(split, expert, hidden);
        });
        double lost = 0, whole = 0;
        for (std::size_t t = 0; t < m_inputs; ++t) {
            std::vector<std::pair<double, std::size_t>> norms;
            for (std::size_t e = 0; e < experts; ++e) {
                double square = 0;
                for (std::size_t h = 0; h < hidden; ++h)
                    square += std::pow(static_cast<double>(outputs[e][t * hidden + h]), 2);
                norms.emplace_back(-square, e);
            }
            std::ranges::sort(norms);
            for (std::size_t h = 0; h < hidden; ++h) {
                double left = 0, all = 0;
                for (std::size_t i = 0; i < experts; ++i) {
                    const auto value = static_cast<double>(outputs[norms[i].second][t * hidden + h]);
                    all += value;
                    if (i >= keep) left += value;
                }
                lost += left * left;
                whole += all * all;
            }
        }
        return whole > 0 ? lost / whole : kNoData;
    }

private:
    std::vector<float> outputsOf(const NeuronSplit& split, std::int32_t expert, std::size_t hidden) const {
        std::vector<std::size_t> own;
        for (std::size_t n = 0; n < split.size(); ++n)
            if (split[n] == expert) own.push_back(n);
        std::vector<float> down(hidden * own.size()), activations(m_inputs * own.size());
        for (std::size_t i = 0; i < own.size(); ++i) {
            for (std::size_t h = 0; h < hidden; ++h)
                down[h * own.size() + i] = m_ffn.down[own[i] * hidden + h];
            for (std::size_t t = 0; t < m_inputs; ++t)
                activations[t * own.size() + i] = m_activations[t * m_ffn.neurons + own[i]];
        }
        return product(down, hidden, activations, m_inputs);
    }

    const DenseFfn& m_ffn;
    std::size_t m_inputs;
    std::vector<float> m_activations;  ///< [inputs, neurons]
};

/// How the FFNs are split and looked at.
struct SplitChoice {
    std::size_t experts, keep, inputs;
    int rounds;
    std::uint64_t seed;
    bool byGate;

    explicit SplitChoice(Parameters& parameters)
        : experts(static_cast<std::size_t>(parameters.integer("experts", 8, 1, 4096))),
          keep(static_cast<std::size_t>(
              parameters.integer("keep", std::max(1, static_cast<int>(experts / 4)), 1, static_cast<int>(experts)))),
          inputs(static_cast<std::size_t>(parameters.integer("inputs", 64, 1, 1 << 16))),
          rounds(parameters.integer("rounds", 20, 1, 1000)),
          seed(static_cast<std::uint64_t>(parameters.integer("seed", 1, 0, std::numeric_limits<int>::max()))),
          byGate(parameters.word("by", {"up", "gate"}) == "gate") {}
};

void addSplits(AnalysisTable& table, LayerIndex layer, const DenseFfn& ffn, const SplitChoice& choice,
               ThreadPool& pool) {
    const std::span<const float> neurons = choice.byGate ? ffn.gate : ffn.up;
    const NeuronSplit random = randomSplit(ffn.neurons, choice.experts, choice.seed);
    const NeuronSplit clustered = clusteredSplit(neurons, random, choice.experts, choice.rounds);
    const OutputLoss loss(ffn, choice.inputs, choice.seed);
    for (const auto& [name, split] : {std::pair("random", &random), std::pair("clustered", &clustered)})
        table.rows.push_back({std::int64_t{layer.value()}, std::string(name), static_cast<std::int64_t>(ffn.neurons),
                              static_cast<std::int64_t>(choice.experts), static_cast<std::int64_t>(choice.keep),
                              withinExperts(neurons, *split, choice.experts),
                              loss.of(*split, choice.experts, choice.keep, pool)});
}

std::optional<std::size_t> denseUnit(const std::vector<WeightUnit>& units) {
    const auto found = std::ranges::find(units, "F", &WeightUnit::name);
    if (found == units.end()) return std::nullopt;
    return static_cast<std::size_t>(found - units.begin());
}

AnalysisTable denseSplitTable(const AnalysisInput& input, Parameters& parameters) {
    StudyInUse study(input);
    const std::vector<LayerIndex> layers = chosenLayers(*study, parameters);
    const SplitChoice choice(parameters);
    AnalysisTable table;
    table.counted = fmt::format(
        "The dense model's FFNs, beside {}: neurons dealt to {} experts of equal size at random, and by balanced "
        "k-means "
        "of the rows of {}. weight_error: squared distances of neurons from their expert's mean over those from the "
        "mean "
        "of all; output_error: squared length of what is lost of the output when each of {} inputs of standard normal "
        "values runs only the {} experts that give it most, over that of the output. A model is ready to be split "
        "where "
        "clustered lies clearly below random.",
        input.checkpoint->name(), choice.experts, choice.byGate ? "gate" : "up", choice.inputs, choice.keep);
    table.columns = {"layer", "split", "neurons", "experts", "kept", "weight_error", "output_error"};
    std::int64_t without = 0, notFinite = 0, small = 0;
    forEachLayer(layers, input, [&](LayerIndex layer, const std::function<void(double)>&) {
        const std::optional<std::size_t> unit = denseUnit(study->weights().units(layer));
        if (!unit) {
            ++without;
            return;
        }
        const DenseFfn ffn(study->weights(), layer, *unit);
        if (ffn.neurons < choice.experts)
            ++small;
        else if (!ffn.finite())
            ++notFinite;
        else
            addSplits(table, layer, ffn, choice, study->pool());
    });
    if (without == static_cast<std::int64_t>(layers.size()))
        table.counted += " Nothing was counted: give the dense model with --dense FOLDER.";
    else if (without > 0)
        table.counted += fmt::format(" {} layers have no FFN in the dense model.", without);
    if (small > 0) table.counted += fmt::format(" Left out: {} layers with fewer neurons than experts.", small);
    if (notFinite > 0)
        table.counted += fmt::format(" Left out: {} layers with values that are not finite numbers.", notFinite);
    return table;
}

}  // namespace

NeuronSplit randomSplit(std::size_t neurons, std::size_t experts, std::uint64_t seed) {
    std::vector<std::size_t> order(neurons);
    std::iota(order.begin(), order.end(), std::size_t{0});
    RandomChoices(seed).shuffle(std::span(order));
    NeuronSplit split(neurons);
    std::size_t next = 0;
    for (std::size_t e = 0; e < experts; ++e)
        for (std::size_t left = roomOf(e, experts, neurons); left > 0; --left)
            split[order[next++]] = static_cast<std::int32_t>(e);
    return split;
}

NeuronSplit clusteredSplit(std::span<const float> neurons, const NeuronSplit& first, std::size_t experts, int rounds) {
    NeuronSplit best = first;
    ExpertSums sums(neurons, best, experts);
    for (int round = 0; round < rounds; ++round) {
        NeuronSplit next = nearestWithRoom(neurons, first.size(), sums);
        ExpertSums nextSums(neurons, next, experts);
        if (nextSums.explained() <= sums.explained() * (1 + 1e-9)) break;
        best = std::move(next);
        sums = std::move(nextSums);
    }
    return best;
}

double withinExperts(std::span<const float> neurons, const NeuronSplit& split, std::size_t experts) {
    double squares = 0;
    for (const float value : neurons)
        squares += static_cast<double>(value) * static_cast<double>(value);
    const double whole = squares - ExpertSums(neurons, NeuronSplit(split.size(), 0), 1).explained();
    if (!(whole > 1e-12 * squares)) return kNoData;
    return (squares - ExpertSums(neurons, split, experts).explained()) / whole;
}

AnalysisInfo denseSplitAnalysis() {
    return {
        .name = "dense-split",
        .source = AnalysisSource::Checkpoint,
        .parameters = "experts=8, keep=experts/4, by=up|gate, inputs=64, rounds=20, seed=1, layer=-1 (all), every=1",
        .needs = "a dense model (--dense)",
        .summary = "by layer of a dense model: what splitting its neurons into experts loses, random and clustered",
        .reference = "LLaMA-MoE (arXiv 2406.16554), MoEfication (arXiv 2110.01786)",
        .run = denseSplitTable};
}

}  // namespace expertscope
