// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <functional>
#include <limits>
#include <span>

#include "profiler/analysis/analysis_catalogue.h"

namespace expertscope {

/// How alike two experts' matrices are as they lie, and with the neurons of one put into the order that fits best.
struct NeuronMatch {
    double before = std::numeric_limits<double>::quiet_NaN();      ///< cosine of the matrices as they lie
    double after = std::numeric_limits<double>::quiet_NaN();       ///< cosine after reordering
    double kendallTau = std::numeric_limits<double>::quiet_NaN();  ///< of the new order and the old
    double growth() const;                                         ///< (after − before) / |before|
};

/// a and b are [neurons, H]. Plain equivalent: the cosine of every neuron of a with every neuron of b, the assignment
/// with the largest sum of them (scipy's linear_sum_assignment), b's rows in that order. O(n²·H + n³). All NaN where a
/// value is not finite or a matrix is zero. `pause` is called now and then with the part that is done; it may throw to
/// end the work, and may be empty. Source: Look-into-MoEs (arXiv 2406.18219 §4.1, table 2).
NeuronMatch matchNeurons(std::span<const float> a, std::span<const float> b, std::size_t neurons,
                         const std::function<void(double)>& pause = {});

/// By layer, matrix and pair of experts: matchNeurons(), and its means.
AnalysisInfo neuronMatchingAnalysis();

}  // namespace expertscope
