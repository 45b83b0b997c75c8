// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "profiler/analysis/analysis_catalogue.h"

namespace expertscope {

/// Cosine of two loads [E]; NaN where one is empty.
double cosine(std::span<const double> a, std::span<const double> b);
/// Spearman's rank correlation, ties by their mean rank; NaN where one side is constant.
double spearman(std::span<const double> a, std::span<const double> b);

/// How alike the loads of two layers are, expert number by expert number.
struct LayerSimilarity {
    LayerIndex layer, other;  ///< layer < other
    double cosine = 0, spearman = 0;
    double randomCosine = 0;  ///< expected where the experts of one are numbered at random: Σa Σb / (E |a| |b|)
};
/// Of every two layers. O(layers² · E log E). Experts of different layers have nothing but their number in common, so
/// that any structure is a trace of how the model was made (analyses of Qwen3-30B-A3B find a period of 12 layers).
std::vector<LayerSimilarity> layerSimilarities(const RunRouting& routing);

AnalysisInfo layerSimilarityAnalysis();
AnalysisInfo layerDistanceAnalysis();

}  // namespace expertscope
