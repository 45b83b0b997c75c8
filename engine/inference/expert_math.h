// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <span>
#include <vector>

#include "engine/compute/kernels.h"
#include "engine/model/checkpoint.h"
#include "engine/offload/expert_store.h"

namespace expertscope {

/// Tokens that one task runs through one expert at most.
inline constexpr int kTokenBlock = 16;

/// What computing an expert needs besides its input, for one thread.
struct ExpertScratch {
    explicit ExpertScratch(const ModelConfig& config);
    std::vector<float> input, gate, up, output;  ///< [kTokenBlock, H or I]
};

/// The rows of a layer that an expert reads and writes. A use is token · k + slot.
struct ExpertRows {
    const float* input = nullptr;  ///< [tokens, H]
    float* output = nullptr;       ///< [tokens, k, H], unweighted
    float* norms = nullptr;        ///< [tokens, k] L2 norms of the outputs
};

/// SwiGLU of one expert over at most kTokenBlock uses. False when an output is not a finite number. The bits of a row
/// depend neither on the other rows nor on the thread.
bool runExpert(const Kernels& kernels, const ModelConfig& config, const ExpertWeights& weights,
               std::span<const int> uses, const ExpertRows& rows, ExpertScratch& scratch);

}  // namespace expertscope
