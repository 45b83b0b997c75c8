// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <filesystem>

#include "profiler/interchange/import_registry.h"
#include "profiler/interchange/imported_run.h"

namespace expertscope {

bool isChromeTrace(const FileHead& head);

/// Appends a Chrome trace (JSON as an object with traceEvents or as an array, also one that was cut off; gzip too) to a
/// session as an imported run without routing: complete events and pairs of B and E become ranges on lanes of their
/// threads, b and e ranges of their process, instants marks. Spans that exportChrome() wrote become what they were, on
/// their lanes and at their times. The JSON is streamed; 72 bytes an event are held, since events may come in any
/// order. Throws BadInputError naming the byte or the event.
ImportedRun importChrome(const std::filesystem::path& file, const std::filesystem::path& session,
                         const ImportOptions& options);

}  // namespace expertscope
