// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <optional>

#include "profiler/replay/compute_times.h"
#include "profiler/replay/routing_trace.h"
#include "storage/session_reader.h"

namespace expertscope {

/// A run of a session as a replay needs it.
struct RecordedRun {
    RunEntry entry;
    RoutingTrace trace;
    std::optional<ComputeTimes> times;  ///< absent where the run recorded no spans
    /// Of a low-precision copy; 0 where the run moved none, so that its size is not known.
    Bytes lowExpertBytes{};
};

/// Reads a run, chunk by chunk. Throws BadInputError when the session has no such run, or the run no selections.
RecordedRun readRecordedRun(const SessionReader& reader, RunId run);

}  // namespace expertscope
