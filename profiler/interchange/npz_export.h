// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <filesystem>
#include <vector>

#include "engine/base/ids.h"

namespace expertscope {

/// Writes the routing of one run as a NumPy `.npz` (deflated): routed_experts int32 [tokens, layers, k] (−1: no
/// choice), weights float32 and outcome int8 (0 hit, 1 in flight, 2 miss, −1 none) of the same shape, and request,
/// position, phase (0 prompt, 1 decode), step and token_id, one int32 a token. A token of n steps has n rows. Raw
/// vectors of a deep capture, where the run has them: deep/LAYER/tokens int32 [n], …/inputs and …/after float32 [n, H],
/// …/logits and …/weights [n, E], …/outputs [n, E, H] (docs/FORMAT.md). Written in one reading of the session for each
/// large array; memory is that of one step and of the small arrays. Throws BadInputError when the session cannot be
/// read or the run has no routing, FailedError when the file cannot be written.
std::vector<std::filesystem::path> exportNpz(const std::filesystem::path& session, RunId run,
                                             const std::filesystem::path& out);

}  // namespace expertscope
