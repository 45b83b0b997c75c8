// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>
#include <vector>

#include "engine/base/deep_aggregates.h"
#include "profiler/analysis/analysis_catalogue.h"

namespace expertscope {

/// What the tables of a deep capture have in common.

/// "Every expert ran on 128 tokens …": the sentence that they begin with.
std::string deepCounted(const DeepAggregates& deep);
/// The layers with tokens that the parameter layer=N (−1: all) asks for. Throws UsageError for one that was not
/// captured.
std::vector<const DeepLayer*> chosenDeepLayers(const DeepAggregates& deep, Parameters& parameters);
/// NaN where nothing was counted.
double meanOf(double sum, double count);
/// Σ over all.
double totalOf(const std::vector<double>& values);

inline constexpr const char* kDeepLayerParameter = "layer=-1 (all)";

}  // namespace expertscope
