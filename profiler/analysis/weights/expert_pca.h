// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <array>
#include <functional>
#include <vector>

#include "profiler/analysis/analysis_catalogue.h"
#include "profiler/analysis/weights/weight_results.h"

namespace expertscope {

class WeightStudy;

/// Experts as points in the plane of the first two principal components of one matrix.
struct ExpertPlane {
    std::vector<WeightUnit> units;              ///< the units that are as wide as a routed expert, and finite
    std::vector<std::array<double, 2>> points;  ///< [units]; empty where fewer than two units or all are alike
    std::vector<bool> outliers;                 ///< [units]: far from the median of the points
    std::array<double, 2> shares{};             ///< of the variance
    std::int64_t features = 0;                  ///< I·H
    std::int64_t constant = 0;                  ///< of them with the same value in every unit: they count as zero
};

/// Plain equivalent, by ExpertMatrix: flatten each expert's matrix, z-score every element over the experts (ddof = 1),
/// PCA with two components. The points are the eigenvectors of the n × n Gram matrix of the z-scores, times the roots
/// of their eigenvalues, so that the matrices are read once in pieces: O(n²·I·H). A component's sign is such that its
/// largest coordinate is positive. Source: Look-into-MoEs (arXiv 2406.18219 §4.1, fig. 3), which marks outliers of
/// DeepSeekMoE by DBSCAN(eps = 50); here: distance from the median point, kOutlierScore modified z-scores or more.
std::array<ExpertPlane, 3> expertPlanes(WeightStudy& study, LayerIndex layer,
                                        const std::function<void(double)>& progress);

/// By layer, matrix and expert: its point in that plane.
AnalysisInfo expertPcaAnalysis();

}  // namespace expertscope
