// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <filesystem>

#include "profiler/replay/compute_times.h"

namespace expertscope {

/// Compute times of a made-up or another machine, for a trace: a JSON object with `layer_us` (a layer of one token but
/// for its experts), `expert_us` (one expert for one token), `head_us` (what follows the last layer) and, optionally,
/// `further_token` (what each further token of a step adds, as a share of the first; 1 where not given), `dispatch_us`
/// (a batch of experts), `transfer_us` (an expert over the run's own link) and `workers` (1). Throws BadInputError when
/// the file is missing or is no such object.
ComputeTimes readCostFile(const std::filesystem::path& file, const RoutingTrace& trace);

}  // namespace expertscope
