// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <filesystem>
#include <vector>

#include "engine/base/ids.h"

namespace expertscope {

/// Writes the routing of one run as a `route_trace v1` CSV, row by row: a request is a turn. `expert_bytes` is the
/// expert's size where the access was a miss, else 0; an access in flight has residency 2; rows of choices that were
/// left out have dropped = 1. gzip where `out` ends in ".gz". Throws BadInputError when the session cannot be read or
/// the run has no routing, FailedError when the file cannot be written.
std::vector<std::filesystem::path> exportRouteTrace(const std::filesystem::path& session, RunId run,
                                                    const std::filesystem::path& out);

}  // namespace expertscope
