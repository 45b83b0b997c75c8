// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/base/run_facts.h"

namespace expertscope {

/// How often each expert of a run was needed, and how large it is.
struct ExpertUses {
    std::int32_t layers = 0, experts = 0;
    std::vector<std::int64_t> selections;  ///< [layers × experts] tokens that chose it
    std::vector<std::int64_t>
        accesses;              ///< [layers × experts] layer passes that needed it, however many tokens chose it
    std::vector<Bytes> bytes;  ///< [layers] of one expert of the layer
    Bytes budget;              ///< of the run
    std::int64_t atLeastOnce() const;  ///< experts that were chosen at all
};

/// Counts a run's selections; where it has counts only, those (each counts as an access too). Throws BadInputError
/// where it has neither.
ExpertUses countUses(const std::filesystem::path& session, RunId run);

/// The experts [layers × experts] to keep on the GPU within `budget` bytes: greedily by selections a byte, as
/// KTransformers' frequency strategy takes the most frequent of all layers; equal ones in order of layer and expert.
/// O(n log n). With experts of one size no other choice serves more selections.
std::vector<bool> frequentExperts(const ExpertUses& uses, Bytes budget);

/// The layers, rising, whose experts stay on the CPU where whole layers go to the GPU within `budget` bytes: on the GPU
/// are the layers with most accesses a byte; of equal ones the later, as `expertscope advise` has it.
std::vector<std::int32_t> layersOnCpu(const ExpertUses& uses, Bytes budget);

/// llama.cpp's --override-tensor expression that keeps the experts of these layers on the CPU; empty where there are
/// none.
std::string llamaOverride(std::span<const std::int32_t> layersOnCpu);

}  // namespace expertscope
