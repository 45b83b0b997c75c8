// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/interchange/route_trace_import.h"

#include <memory>

#include "profiler/interchange/routing_import.h"

namespace expertscope {

ImportedRun checkRouteTrace(RouteTraceRows& rows) { return checkRouting(rows); }

ImportedRun importRouteTrace(const std::filesystem::path& file, const std::filesystem::path& session,
                             const ImportOptions& options) {
    return importRouting([&] { return std::make_unique<RouteTraceRows>(file); }, session, options);
}

}  // namespace expertscope
