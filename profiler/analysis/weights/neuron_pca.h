// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <array>
#include <functional>
#include <vector>

#include "profiler/analysis/analysis_catalogue.h"
#include "profiler/analysis/weights/weight_results.h"

namespace expertscope {

class WeightStudy;

/// From how many standard deviations on, in the plane of the first two components, a neuron is called an outlier; of a
/// normal cloud 1.1 % lie that far.
inline constexpr double kNeuronOutlierDistance = 3;

/// Neurons as points on the first three principal components of one matrix.
struct NeuronSpace {
    ExpertMatrix matrix = ExpertMatrix::Up;
    std::vector<std::size_t> units;           ///< whose neurons are counted, by place in the layer's list
    std::vector<double> means, scales;        ///< [H]: z = (x − mean) · scale; scale 0 where all neurons are alike
    std::array<std::vector<double>, 3> axes;  ///< [H], length 1; empty where there are fewer
    std::array<double, 3> variances{}, shares{};  ///< of the components; shares of the whole variance
    bool empty() const { return axes[1].empty(); }
};

/// Plain equivalent: all neurons of all experts (and SE, F) as points in H dimensions, z-scored by dimension (ddof =
/// 1), PCA with three components; a component's sign is such that its largest loading is positive. Made of the H × H
/// sums of products: O(neurons·H²), one expert's matrix in memory and a few of the sums. Units with values that are not
/// finite are left out. Source: Look-into-MoEs (arXiv 2406.18219, app. on PCA of neurons).
NeuronSpace neuronSpace(WeightStudy& study, LayerIndex layer, ExpertMatrix matrix,
                        const std::function<void(double)>& progress);

/// By layer, matrix and expert: how its neurons lie. And single neurons, evenly drawn.
AnalysisInfo neuronPcaAnalysis();
AnalysisInfo neuronPcaPointsAnalysis();

}  // namespace expertscope
