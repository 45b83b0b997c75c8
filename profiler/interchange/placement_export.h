// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <filesystem>
#include <optional>
#include <vector>

#include "engine/base/ids.h"
#include "engine/base/units.h"

namespace expertscope {

/// Writes which experts KTransformers should keep on the GPU within `budget` expert bytes (nothing: the run's): as a
/// `.pt` for `--kt-expert-placement-strategy frequency --init-expert-location` (logical_count int64 [1, layers,
/// experts], beside it gpu_experts_mask bool [layers, experts] and num_gpu_experts), as JSON where `out` ends in
/// ".json". Throws UsageError where no expert fits, BadInputError where the run has no routing, FailedError where
/// nothing can be written.
std::vector<std::filesystem::path> exportKtMask(const std::filesystem::path& session, RunId run,
                                                const std::optional<SizeSpec>& budget,
                                                const std::filesystem::path& out);

/// Writes the expression for llama.cpp's `-ot` that keeps on the CPU the experts of the layers that do not fit
/// `budget`: one line for `llama-cli -ngl 99 -ot "$(cat OUT)"`. Throws as above, and UsageError where every layer fits.
std::vector<std::filesystem::path> exportLlamaOverride(const std::filesystem::path& session, RunId run,
                                                       const std::optional<SizeSpec>& budget,
                                                       const std::filesystem::path& out);

}  // namespace expertscope
