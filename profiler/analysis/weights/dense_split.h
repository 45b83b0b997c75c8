// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "profiler/analysis/analysis_catalogue.h"

namespace expertscope {

/// Neurons dealt to experts of equal size (to one neuron): the expert of each.
using NeuronSplit = std::vector<std::int32_t>;

/// Neurons in random order, cut into `experts` pieces.
NeuronSplit randomSplit(std::size_t neurons, std::size_t experts, std::uint64_t seed);

/// Balanced k-means of neurons [n, features], from `first` on: means, then neurons to the nearest mean that has room
/// (those first that have most to lose against their average distance), until the squares within the experts fall no
/// more. Gives the best split seen. Plain equivalent: none (the problem is NP-hard); O(n·E·(features + log n)) a round.
/// Source: LLaMA-MoE (arXiv 2406.16554) and MoEfication (arXiv 2110.01786), whose clusters are of equal size as well.
NeuronSplit clusteredSplit(std::span<const float> neurons, const NeuronSplit& first, std::size_t experts, int rounds);

/// Σ ‖neuron − its expert's mean‖² / Σ ‖neuron − mean of all‖²: 1 where the split explains nothing, 0 where neurons of
/// an expert are alike. NaN where all neurons are.
double withinExperts(std::span<const float> neurons, const NeuronSplit& split, std::size_t experts);

/// Whether a dense model is ready to be split into experts: what a random and a clustered split lose, by layer.
AnalysisInfo denseSplitAnalysis();

}  // namespace expertscope
