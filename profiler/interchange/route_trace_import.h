// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <filesystem>

#include "profiler/interchange/imported_run.h"
#include "profiler/interchange/route_trace_rows.h"

namespace expertscope {

/// Appends the routing of a `route_trace v1` CSV to a session; see importRouting().
ImportedRun importRouteTrace(const std::filesystem::path& file, const std::filesystem::path& session,
                             const ImportOptions& options = {});

/// Reads the trace through and checks all of it, as an import does before it writes. Throws BadInputError.
ImportedRun checkRouteTrace(RouteTraceRows& rows);

}  // namespace expertscope
