// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <filesystem>
#include <functional>
#include <memory>

#include "profiler/interchange/imported_run.h"
#include "profiler/interchange/route_rows.h"

namespace expertscope {

/// Opens a file's rows from the start.
using OpenRoutes = std::function<std::unique_ptr<RouteRowSource>()>;

/// Appends the routing that another tool recorded to a session, made where there is none, as one run of the policy
/// "imported": a turn is a request, its prompt one step, every decoded token a step. There are no times: times are 0
/// and there are no spans. Experts count as there (hits) where the file does not tell; their size is 1 byte where
/// neither file nor options tell it, so that budgets count experts.
///
/// The rows are read twice: once to check them all, to count layers, experts and top-k where the file does not say them
/// and to find warm-up, so that a faulty file leaves the session as it was; once to write. Memory is that of the
/// largest forward step. Throws BadInputError naming file and place, FailedError when the session cannot be written.
ImportedRun importRouting(const OpenRoutes& open, const std::filesystem::path& session, const ImportOptions& options);

/// Reads the rows through and checks all of them, as an import does before it writes. Throws BadInputError.
ImportedRun checkRouting(RouteRowSource& rows, const ImportOptions& options = {});

}  // namespace expertscope
