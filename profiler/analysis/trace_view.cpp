// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/analysis/trace_view.h"

#include "profiler/analysis/run_trace.h"

namespace expertscope {

TraceView viewOf(const RunTrace& trace) {
    return {trace.selections(), trace.residency(), trace.tokens(), trace.spans(), trace.requests()};
}

}  // namespace expertscope
