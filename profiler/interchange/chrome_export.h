// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <filesystem>
#include <optional>
#include <vector>

#include "engine/base/ids.h"

namespace expertscope {

/// Writes the timeline of a session (or one run of it) as Chrome trace event JSON, which chrome://tracing and Perfetto
/// open; gzip where `out` ends in ".gz". A run is a process and a lane a thread; spans are complete events ("X") with
/// their fields as arguments, tokens are instants, a transfer has a flow to the first computation with its expert, and
/// there are counters of resident experts and of bytes on the link. Times are microseconds with three decimals (whole
/// nanoseconds) since the run's start, which stands in otherData. Memory is that of the transfers, not of the spans.
/// Throws as exportCsv().
std::vector<std::filesystem::path> exportChrome(const std::filesystem::path& session, std::optional<RunId> run,
                                                const std::filesystem::path& out);

}  // namespace expertscope
