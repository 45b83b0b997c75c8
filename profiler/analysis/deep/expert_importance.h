// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/deep_aggregates.h"
#include "profiler/analysis/analysis_catalogue.h"

namespace expertscope {

/// One way to say how much an expert matters; pruning takes the lowest.
struct ImportanceScore {
    std::string name;                                       ///< "reap"
    std::string meaning;                                    ///< its formula in a few words
    std::string source;                                     ///< paper
    std::vector<double> (*of)(const DeepLayer&) = nullptr;  ///< [E]; NaN where it says nothing of an expert
};
/// frequency, weighted_frequency, soft_count, ean_sum, ean_mean, weighted_ean, reap, msan, max_activation.
/// X_e are the tokens that chose the expert, g the weight as applied, f the output before weighting, s the softmax over
/// all experts.
std::span<const ImportanceScore> importanceScores();
/// Throws UsageError naming those that exist.
const ImportanceScore& importanceScore(std::string_view name);

AnalysisInfo importanceAnalysis();  ///< "importance": layers × experts, every score, and its rank in the layer by REAP
AnalysisInfo superExpertsAnalysis();  ///< "super-experts": layers × experts by greatest output

/// Super experts: max |f_i| above the 99.5 % quantile of all experts taken, above a tenth of the greatest, and in the
/// first three quarters of the model's layers (arXiv 2507.23279).
struct SuperExpert {
    ExpertRef expert;
    double outputMax = 0;
};
std::vector<SuperExpert> superExperts(std::span<const DeepLayer> layers, std::int32_t modelLayers);

}  // namespace expertscope
