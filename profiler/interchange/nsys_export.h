// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <filesystem>
#include <vector>

#include "engine/base/ids.h"

namespace expertscope {

/// Writes the timeline of one run as a SQLite database with the tables, columns and numbers of an Nsight Systems
/// export, for tools that read those: spans as NVTX_EVENTS (push–pop ranges, marks), transfers as
/// CUPTI_ACTIVITY_KIND_MEMCPY (host to device, a lane a stream), lanes as ThreadNames, texts in StringIds, times in
/// nanoseconds since the run's start. What Nsight has no column for stands as JSON in jsonText, lanes in the extra
/// table EXPERTSCOPE_LANE. Throws BadInputError when the session cannot be read, FailedError when the file cannot be
/// written.
std::vector<std::filesystem::path> exportNsysSqlite(const std::filesystem::path& session, RunId run,
                                                    const std::filesystem::path& out);

}  // namespace expertscope
