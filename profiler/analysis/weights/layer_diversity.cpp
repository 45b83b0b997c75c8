// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/analysis/weights/layer_diversity.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "profiler/analysis/weights/outliers.h"
#include "profiler/analysis/weights/weight_study.h"

namespace expertscope {
namespace {

constexpr double kNoData = std::numeric_limits<double>::quiet_NaN();

/// A mean of the values that are finite.
class Mean {
public:
    void add(double value) {
        if (!std::isfinite(value)) return;
        m_sum += value;
        ++m_count;
    }
    std::int64_t count() const { return m_count; }
    double value() const { return m_count > 0 ? m_sum / static_cast<double>(m_count) : kNoData; }

private:
    double m_sum = 0;
    std::int64_t m_count = 0;
};

struct Measure {
    std::string name;
    const SimilarityMatrix* similarity;
};

std::vector<Measure> measuresOf(const LayerExpertWeights& layer) {
    std::vector<Measure> measures;
    for (const ExpertMatrix matrix : kExpertMatrices)
        measures.push_back({fmt::format("matrix_{}", nameOf(matrix)), &layer.whole[static_cast<std::size_t>(matrix)]});
    for (const ExpertMatrix matrix : kExpertMatrices)
        measures.push_back(
            {fmt::format("neuron_{}", nameOf(matrix)), &layer.averaged[static_cast<std::size_t>(matrix)]});
    measures.push_back({"router", &layer.router.similarity});
    return measures;
}

/// How far each layer's mean lies from those of the other layers by the same measure.
void addLayerScores(AnalysisTable& table, const std::vector<double>& means, std::size_t measures) {
    for (std::size_t m = 0; m < measures; ++m) {
        std::vector<double> ofMeasure;
        for (std::size_t row = m; row < means.size(); row += measures)
            ofMeasure.push_back(means[row]);
        const std::vector<double> scores = modifiedScores(ofMeasure);
        for (std::size_t n = 0; n < scores.size(); ++n)
            table.rows[n * measures + m].emplace_back(scores[n]);
    }
}

AnalysisTable layerDiversityTable(const AnalysisInput& input, Parameters& parameters) {
    StudyInUse study(input);
    const std::vector<LayerIndex> layers = chosenLayers(*study, parameters);
    AnalysisTable table;
    table.counted =
        study->counted() +
        fmt::format(
            " Similarities are those of every pair of routed experts; diversity is 1 − their mean. outliers: "
            "experts whose mean similarity to the others is {} modified z-scores or more below the layer's "
            "median; layer_score: modified z-score of the layer's mean among the layers.",
            kOutlierScore);
    table.columns = {"layer",     "measure", "pairs",    "mean_similarity", "min_similarity", "max_similarity",
                     "diversity", "to_se",   "to_dense", "outliers",        "layer_score"};
    std::vector<double> means;
    std::size_t measures = 0;
    std::int64_t leftOut = 0;
    forEachLayer(layers, input, [&](LayerIndex index, const std::function<void(double)>& progress) {
        const std::vector<Measure> ofLayer = measuresOf(study->layer(index, progress));
        measures = ofLayer.size();
        for (const auto& [name, similarity] : ofLayer) {
            const SimilaritySummary summary = summarise(*similarity);
            leftOut += summary.leftOut;
            means.push_back(summary.mean);
            table.rows.push_back({std::int64_t{index.value()}, name, summary.pairs, summary.mean, summary.least,
                                  summary.most, 1 - summary.mean, summary.toShared, summary.toDense,
                                  fmt::format("{}", fmt::join(summary.outliers, " "))});
        }
    });
    addLayerScores(table, means, measures);
    if (leftOut > 0)
        table.counted += fmt::format(
            " Left out: {} pairs with an expert whose weights are all zero or not all finite numbers.", leftOut);
    return table;
}

}  // namespace

SimilaritySummary summarise(const SimilarityMatrix& similarity) {
    SimilaritySummary summary;
    summary.least = summary.most = kNoData;
    Mean pairs, shared, dense;
    std::vector<double> toOthers;
    for (std::size_t a = 0; a < similarity.size(); ++a) {
        if (similarity.units[a].expert < 0) continue;
        Mean others;
        for (std::size_t b = 0; b < similarity.size(); ++b) {
            const double value = similarity.at(a, b);
            if (similarity.units[b].expert < 0) {
                (similarity.units[b].name == "F" ? dense : shared).add(value);
                continue;
            }
            if (a == b) continue;
            others.add(value);
            if (b < a) continue;
            pairs.add(value);
            if (!std::isfinite(value)) {
                ++summary.leftOut;
                continue;
            }
            summary.least = std::fmin(summary.least, value);  // the number, where the other is none
            summary.most = std::fmax(summary.most, value);
        }
        toOthers.push_back(others.value());
    }
    summary.pairs = pairs.count();
    summary.mean = pairs.value();
    summary.toShared = shared.value();
    summary.toDense = dense.value();
    const std::vector<double> scores = modifiedScores(toOthers);
    for (std::size_t e = 0; e < scores.size(); ++e)
        if (scores[e] <= -kOutlierScore) summary.outliers.push_back(static_cast<std::int32_t>(e));
    return summary;
}

AnalysisInfo layerDiversityAnalysis() {
    return {.name = "layer-diversity",
            .source = AnalysisSource::Checkpoint,
            .parameters = kLayerParameters,
            .needs = "",
            .summary = "by layer and measure: how alike the experts are, and which stand out",
            .reference = "Look-into-MoEs (arXiv 2406.18219); modified z-score: Iglewicz and Hoaglin 1993",
            .run = layerDiversityTable};
}

}  // namespace expertscope
