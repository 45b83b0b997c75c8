// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <span>
#include <vector>

namespace expertscope {

// The prepared tables of AdapMoE (L layers, k experts a token).

/// [L] divergence in nats that dropping causes, per squared weight that is dropped.
inline constexpr const char* kSensitivityTable = "sensitivity";
/// [L, k, kWeightBins] tokens by the weight of their n-th expert as a share of the token's sum, in equal bins over 0
/// … 1.
inline constexpr const char* kSlotWeightTable = "slot_weight.count";
/// [L] experts used that the gate had foretold on the layer before's input, and experts used.
inline constexpr const char* kRecallSumTable = "next_gate_recall.sum";
inline constexpr const char* kRecallCountTable = "next_gate_recall.count";
inline constexpr int kWeightBins = 100;

/// Weight below which a lower-ranked expert is dropped: sqrt(threshold / sensitivity), so that the divergence stays
/// within `threshold`; above every weight where the layer is not sensitive at all.
float dropBelow(double threshold, double sensitivity);

/// Bin of a weight's share.
int weightBin(float share);

/// Share of tokens that run 1, 2, … topK experts when those below `least` are dropped, from a layer's row [topK,
/// kWeightBins] of kSlotWeightTable; all run topK where nothing was counted.
std::vector<double> runsByWeight(std::span<const float> counts, int topK, float least);

}  // namespace expertscope
