// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <vector>

#include "profiler/analysis/analysis_catalogue.h"

namespace expertscope {

/// An expert activation matrix: how many of one request's tokens chose each expert.
struct RequestActivation {
    std::int32_t request = 0;
    std::vector<std::vector<double>> counts;  ///< [layers, E]
};
/// Of every request that has choices, in order. O(assignments + requests · layers · E). Source: MoE-Infinity (arXiv
/// 2401.14361), rEAM.
std::vector<RequestActivation> requestActivations(const RunRouting& routing);

/// MoE-Infinity's distance of two matrices: mean over layers of 1 − cosine of their rows; layers in which one has no
/// choices are passed over. NaN where none is left.
double activationDistance(const RequestActivation& a, const RequestActivation& b);

/// What one decode iteration of a batch of requests needs of a layer's experts.
struct ActivationRatio {
    std::int32_t batch = 0;       ///< requests
    std::int64_t iterations = 0;  ///< of all layers
    double ratio = 0;             ///< mean distinct experts / E
    double random = 0;            ///< 1 − (1 − k/E)^batch
};
/// For batches of 1, 2, 4 … requests that follow one another, their i-th generated tokens together, as long as all of
/// them go on. Tokens of unknown phase count nowhere. Source: MoE-Infinity's figure of activation ratio by batch size.
std::vector<ActivationRatio> activationRatios(const RunRouting& routing);

/// Groups of alike requests: k medoids by activationDistance(). The first medoid is the most central request, each
/// further one the farthest from all before; then assign and re-centre until nothing changes.
struct RequestGroup {
    std::int32_t request = 0;
    std::int32_t group = 0;   ///< numbered in order of first appearance
    std::int32_t medoid = 0;  ///< the group's most central request
    double distance = 0;      ///< to it
    double nearestOther = 0;  ///< to the nearest medoid of another group; NaN with one group
};
std::vector<RequestGroup> groupRequests(const std::vector<RequestActivation>& activations, std::int32_t groups);

AnalysisInfo activationRatioAnalysis();
/// Skewed within a request, even across requests: Gini of loads in one request, and of all requests together.
AnalysisInfo requestReuseAnalysis();
AnalysisInfo requestGroupsAnalysis();

}  // namespace expertscope
