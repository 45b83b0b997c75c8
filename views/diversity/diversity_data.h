// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QString>
#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "profiler/analysis/weights/expert_pca.h"
#include "profiler/analysis/weights/gate_regression.h"
#include "profiler/analysis/weights/layer_diversity.h"
#include "profiler/analysis/weights/weight_results.h"

namespace expertscope {

class JobControl;
class ModelTables;

/// What of the experts is compared: whole flattened matrices, the mean neuron of each, or whole matrices once the
/// neurons of one stand in the order that fits the other's best.
enum class ComparedExperts : std::uint8_t { Matrices, Neurons, Reordered };

/// How alike the experts of one layer are, and their router rows.
struct LayerAlikeness {
    std::int32_t layer = 0;
    std::array<SimilarityMatrix, 3> matrices, neurons;  ///< by ExpertMatrix
    SimilarityMatrix router;
    std::array<SimilaritySummary, 3> matrixSummaries, neuronSummaries;
    SimilaritySummary routerSummary;
    std::array<LinearFit, 3> fits;  ///< by ExpertMatrix: of router rows against mean neurons, all pairs
    QString counted;                ///< in a sentence
};

/// One layer's experts on the first two principal components of each matrix.
struct LayerPlanes {
    std::int32_t layer = 0;
    std::array<ExpertPlane, 3> planes;  ///< by ExpertMatrix
};

/// How alike the experts of every layer are, by one measure.
struct AlikenessCurve {
    struct Point {
        std::int32_t layer = 0;
        double mean = 0, least = 0, most = 0;  ///< cosine of two routed experts; NaN where there are no pairs
        std::vector<std::int32_t> apart;       ///< experts that are unlike the others
        bool standsOut = false;                ///< the layer does among the layers
    };
    std::vector<Point> points;
};
struct AlikenessCurves {
    std::array<AlikenessCurve, 3> matrices, neurons;  ///< by ExpertMatrix
    AlikenessCurve router;
};

/// Tells a job how far an analysis is.
std::function<void(double)> progressOf(const JobControl& control, const QString& what);

/// To be called off the UI thread. They throw BadInputError where the weights are not to be had.
std::shared_ptr<const LayerAlikeness> compareExperts(ModelTables& tables, std::int32_t layer,
                                                     const JobControl& control);
std::shared_ptr<const LayerPlanes> placeExperts(ModelTables& tables, std::int32_t layer, const JobControl& control);
std::shared_ptr<const AlikenessCurves> compareLayers(ModelTables& tables, const JobControl& control);

}  // namespace expertscope
