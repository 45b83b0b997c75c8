// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/diversity/diversity_data.h"

#include <cmath>
#include <limits>
#include <map>

#include <fmt/format.h>

#include "profiler/analysis/weights/model_tables.h"
#include "profiler/analysis/weights/outliers.h"
#include "views/base/background_job.h"
#include "views/base/run_analyses.h"

namespace expertscope {
namespace {

/// A unit by the word that tables name it with: a routed expert's number, or "SE".
WeightUnit unitNamed(const QString& word) {
    bool routed = false;
    const int expert = word.toInt(&routed);
    return {.expert = routed ? expert : -1, .name = word.toStdString(), .neurons = 0};
}

/// The matrix that a table tells pair by pair, each a before b, in one of its columns. Units without a value in any
/// pair (a shared expert has no router row) are left out.
SimilarityMatrix matrixOf(const AnalysisColumns& columns, const char* column) {
    SimilarityMatrix matrix;
    std::map<QString, std::size_t> places;
    const auto place = [&](const QString& word) {
        const auto [found, isNew] = places.try_emplace(word, matrix.units.size());
        if (isNew) matrix.units.push_back(unitNamed(word));
        return found->second;
    };
    const auto isRouted = [&](std::size_t row) {
        return unitNamed(columns.word(row, "expert_a")).expert >= 0 &&
               unitNamed(columns.word(row, "expert_b")).expert >= 0;
    };
    const bool routedOnly = std::string_view(column) == "router";
    for (std::size_t row = 0; row < columns.rows(); ++row) {
        if (routedOnly && !isRouted(row)) continue;
        place(columns.word(row, "expert_a"));
        place(columns.word(row, "expert_b"));
    }
    const std::size_t n = matrix.size();
    matrix.values.assign(n * n, std::numeric_limits<double>::quiet_NaN());
    for (std::size_t row = 0; row < columns.rows(); ++row) {
        if (routedOnly && !isRouted(row)) continue;
        const std::size_t a = place(columns.word(row, "expert_a")), b = place(columns.word(row, "expert_b"));
        matrix.values[a * n + b] = matrix.values[b * n + a] = columns.real(row, column);
    }
    return matrix;
}

std::string ofLayer(const char* analysis, std::int32_t layer) { return fmt::format("{}:layer={}", analysis, layer); }

std::vector<std::int32_t> numbersIn(const QString& words) {
    std::vector<std::int32_t> numbers;
    for (const QString& word : words.split(' ', Qt::SkipEmptyParts))
        numbers.push_back(word.toInt());
    return numbers;
}

}  // namespace

std::function<void(double)> progressOf(const JobControl& control, const QString& what) {
    control.at(what);
    return [&control, what](double share) { control.at(what, share); };
}

std::shared_ptr<const LayerAlikeness> compareExperts(ModelTables& tables, std::int32_t layer,
                                                     const JobControl& control) {
    const auto progress = progressOf(control, QStringLiteral("Comparing the experts of layer %1…").arg(layer));
    const AnalysisTable whole = tables.table(ofLayer("weight-similarity", layer), progress);
    const AnalysisTable averaged = tables.table(ofLayer("neuron-similarity", layer), progress);
    const AnalysisColumns ofWhole(whole), ofAveraged(averaged);
    auto made = std::make_shared<LayerAlikeness>();
    made->layer = layer;
    made->counted = QString::fromStdString(whole.counted);
    made->router = matrixOf(ofAveraged, "router");
    made->routerSummary = summarise(made->router);
    for (std::size_t m = 0; m < kExpertMatrices.size(); ++m) {
        const char* name = nameOf(kExpertMatrices[m]);
        made->matrices[m] = matrixOf(ofWhole, name);
        made->neurons[m] = matrixOf(ofAveraged, name);
        made->matrixSummaries[m] = summarise(made->matrices[m]);
        made->neuronSummaries[m] = summarise(made->neurons[m]);
        made->fits[m] = fitOfPairs(made->neurons[m], made->router);
    }
    return made;
}

std::shared_ptr<const LayerPlanes> placeExperts(ModelTables& tables, std::int32_t layer, const JobControl& control) {
    const AnalysisTable table =
        tables.table(ofLayer("expert-pca", layer),
                     progressOf(control, QStringLiteral("Finding principal components of layer %1…").arg(layer)));
    const AnalysisColumns columns(table);
    auto made = std::make_shared<LayerPlanes>();
    made->layer = layer;
    for (std::size_t row = 0; row < columns.rows(); ++row) {
        const QString name = columns.word(row, "matrix");
        for (std::size_t m = 0; m < kExpertMatrices.size(); ++m) {
            if (name != QLatin1String(nameOf(kExpertMatrices[m]))) continue;
            ExpertPlane& plane = made->planes[m];
            plane.units.push_back(unitNamed(columns.word(row, "expert")));
            plane.points.push_back({columns.real(row, "pc1"), columns.real(row, "pc2")});
            plane.shares = {columns.real(row, "pc1_share"), columns.real(row, "pc2_share")};
            plane.outliers.push_back(columns.whole(row, "outlier") != 0);
        }
    }
    return made;
}

std::shared_ptr<const AlikenessCurves> compareLayers(ModelTables& tables, const JobControl& control) {
    const AnalysisTable table =
        tables.table("layer-diversity", progressOf(control, QStringLiteral("Comparing the experts of every layer…")));
    const AnalysisColumns columns(table);
    auto made = std::make_shared<AlikenessCurves>();
    std::map<QString, AlikenessCurve*> curves{{QStringLiteral("router"), &made->router}};
    for (std::size_t m = 0; m < kExpertMatrices.size(); ++m) {
        const QString name = QString::fromLatin1(nameOf(kExpertMatrices[m]));
        curves[QStringLiteral("matrix_") + name] = &made->matrices[m];
        curves[QStringLiteral("neuron_") + name] = &made->neurons[m];
    }
    for (std::size_t row = 0; row < columns.rows(); ++row) {
        const auto curve = curves.find(columns.word(row, "measure"));
        if (curve == curves.end()) continue;
        curve->second->points.push_back({.layer = static_cast<std::int32_t>(columns.whole(row, "layer")),
                                         .mean = columns.real(row, "mean_similarity"),
                                         .least = columns.real(row, "min_similarity"),
                                         .most = columns.real(row, "max_similarity"),
                                         .apart = numbersIn(columns.word(row, "outliers")),
                                         .standsOut = std::abs(columns.real(row, "layer_score")) >= kOutlierScore});
    }
    return made;
}

}  // namespace expertscope
