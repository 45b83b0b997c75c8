// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/diversity/reordered_experts.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <random>

#include <fmt/format.h>

#include "profiler/analysis/weights/model_tables.h"
#include "profiler/analysis/weights/outliers.h"
#include "views/base/background_job.h"
#include "views/base/run_analyses.h"

namespace expertscope {
namespace {

constexpr double kNotThere = std::numeric_limits<double>::quiet_NaN();

/// All pairs of 32 experts; of 128 experts of 768 neurons a layer takes some tens of seconds with these.
constexpr int kPairsOfMap = 496, kPairsOfCurve = 28, kMostNeurons = 128;
constexpr int kRandomPairs = 4;

std::optional<std::size_t> placeOf(const QString& matrix) {
    for (std::size_t m = 0; m < kExpertMatrices.size(); ++m)
        if (matrix == QLatin1String(nameOf(kExpertMatrices[m]))) return m;
    return std::nullopt;
}

double similarityOfRandom(std::size_t neurons, std::size_t inputs) {
    std::mt19937_64 random(1);
    std::normal_distribution<float> normal;
    const auto matrix = [&] {
        std::vector<float> values(neurons * inputs);
        std::ranges::generate(values, [&] { return normal(random); });
        return values;
    };
    double sum = 0;
    for (int pair = 0; pair < kRandomPairs; ++pair) {
        const std::vector<float> a = matrix(), b = matrix();
        sum += matchNeurons(a, b, neurons).after;
    }
    return sum / kRandomPairs;
}

/// `pairs` were drawn; `table` tells how many neurons of each.
ReorderedSample sampleOf(const AnalysisColumns& table, std::int64_t pairs, const LayerAlikeness& layer,
                         const ModelFacts& model) {
    const auto units = static_cast<std::int64_t>(layer.matrices.front().size());
    ReorderedSample sample{.pairs = pairs, .ofPairs = units * (units - 1) / 2, .neurons = 0};
    if (pairs == 0) return sample;
    sample.neurons = table.whole(0, "neurons");
    // Experts that take parts of a token have fewer inputs than the model's hidden state, and no fact tells how many.
    if (layer.counted.contains(QStringLiteral("and %1 inputs each").arg(model.hidden)))
        sample.ifRandom =
            similarityOfRandom(static_cast<std::size_t>(sample.neurons), static_cast<std::size_t>(model.hidden));
    return sample;
}

/// Mean, least and most of the values of one layer that are numbers.
struct LayerValues {
    double sum = 0, least = kNotThere, most = kNotThere;
    std::int64_t count = 0;

    void add(double value) {
        if (!std::isfinite(value)) return;
        sum += value;
        least = std::fmin(least, value);
        most = std::fmax(most, value);
        ++count;
    }
    AlikenessCurve::Point point(std::int32_t layer) const {
        const double mean = count > 0 ? sum / static_cast<double>(count) : kNotThere;
        return {.layer = layer, .mean = mean, .least = least, .most = most, .apart = {}, .standsOut = false};
    }
};

void markLayersThatStandOut(AlikenessCurve& curve) {
    std::vector<double> means;
    for (const AlikenessCurve::Point& point : curve.points)
        means.push_back(point.mean);
    const std::vector<double> scores = modifiedScores(means);
    for (std::size_t i = 0; i < scores.size(); ++i)
        curve.points[i].standsOut = std::abs(scores[i]) >= kOutlierScore;
}

}  // namespace

std::shared_ptr<const ReorderedLayer> reorderExperts(ModelTables& tables, const LayerAlikeness& layer,
                                                     const JobControl& control) {
    const AnalysisTable table = tables.table(
        fmt::format("neuron-matching:layer={}:pairs={}:neurons={}", layer.layer, kPairsOfMap, kMostNeurons),
        progressOf(control, QStringLiteral("Reordering the neurons of the experts of layer %1…").arg(layer.layer)));
    const AnalysisColumns columns(table);
    auto made = std::make_shared<ReorderedLayer>();
    made->layer = layer.layer;
    const std::vector<WeightUnit>& units = layer.matrices.front().units;
    const std::size_t n = units.size();
    std::map<QString, std::size_t> places;
    for (std::size_t u = 0; u < n; ++u)
        places.emplace(QString::fromStdString(units[u].name), u);
    for (std::size_t m = 0; m < kExpertMatrices.size(); ++m) {
        made->after[m] = {units, std::vector<double>(n * n, kNotThere)};
        made->matches[m].resize(n * n);
    }
    std::int64_t drawn = 0;
    for (std::size_t row = 0; row < columns.rows(); ++row) {
        const auto first = places.find(columns.word(row, "expert_a"));
        const auto second = places.find(columns.word(row, "expert_b"));
        const auto m = placeOf(columns.word(row, "matrix"));
        if (first == places.end() || second == places.end() || !m) continue;  // the means over the pairs
        const NeuronMatch match{columns.real(row, "before"), columns.real(row, "after"),
                                columns.real(row, "kendall_tau")};
        for (const std::size_t at : {first->second * n + second->second, second->second * n + first->second}) {
            made->after[*m].values[at] = match.after;
            made->matches[*m][at] = match;
        }
        if (*m == 0) ++drawn;
    }
    made->sample = sampleOf(columns, drawn, layer, tables.model());
    for (std::size_t m = 0; m < kExpertMatrices.size(); ++m) {
        made->summaries[m] = summarise(made->after[m]);
        if (!made->sample.all()) made->summaries[m].outliers.clear();
    }
    return made;
}

std::shared_ptr<const ReorderedLayers> reorderLayers(ModelTables& tables, const LayerAlikeness& layer,
                                                     const JobControl& control) {
    const AnalysisTable table =
        tables.table(fmt::format("neuron-matching:pairs={}:neurons={}", kPairsOfCurve, kMostNeurons),
                     progressOf(control, QStringLiteral("Reordering the neurons of some experts of every layer…")));
    const AnalysisColumns columns(table);
    std::array<std::map<std::int32_t, LayerValues>, 3> values;
    std::map<std::int32_t, std::int64_t> drawn;
    for (std::size_t row = 0; row < columns.rows(); ++row) {
        const auto m = placeOf(columns.word(row, "matrix"));
        if (!m || columns.word(row, "layer").isEmpty()) continue;  // the means over the pairs
        const auto of = static_cast<std::int32_t>(columns.whole(row, "layer"));
        values[*m][of].add(columns.real(row, "after"));
        if (*m == 0) ++drawn[of];
    }
    auto made = std::make_shared<ReorderedLayers>();
    made->sample = sampleOf(columns, drawn.empty() ? 0 : drawn.begin()->second, layer, tables.model());
    for (std::size_t m = 0; m < kExpertMatrices.size(); ++m) {
        for (const auto& [of, ofLayer] : values[m])
            made->matrices[m].points.push_back(ofLayer.point(of));
        markLayersThatStandOut(made->matrices[m]);
    }
    return made;
}

}  // namespace expertscope
