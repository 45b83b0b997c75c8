// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <filesystem>

#include "engine/base/run_facts.h"
#include "profiler/interchange/route_trace_rows.h"

namespace expertscope {

/// What an import brought.
struct ImportedRun {
    RunId run;
    ModelFacts model;
    RunSummary summary;
    std::int64_t rows = 0;     ///< lines of the file that became selections
    std::int64_t steps = 0;    ///< forward steps
    std::int64_t dropped = 0;  ///< rows that the tool itself had marked as left out
};

/// Appends the routing of a `route_trace v1` CSV to a session, made where there is none, as one run of the policy
/// "imported": a turn is a request, its prompt one step, every decoded token a step. There are no times: times are 0
/// and there are no spans. The file is read twice, so that a faulty one leaves the session as it was. Throws
/// BadInputError naming file and line, FailedError when the session cannot be written.
ImportedRun importRouteTrace(const std::filesystem::path& file, const std::filesystem::path& session);

/// Reads the trace through and checks all of it, as an import does before it writes. Throws BadInputError.
ImportedRun checkRouteTrace(RouteTraceRows& rows);

}  // namespace expertscope
