// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <filesystem>

#include "profiler/interchange/import_registry.h"
#include "profiler/interchange/imported_run.h"

namespace expertscope {

bool isSglangDump(const FileHead& head);

/// Appends a dump of SGLang's expert distribution recorder (`expert_distribution_recorder_*.pt`) to a session as an
/// imported run. Modes stat and per_pass hold counts only (importCounts()); per_token holds the routing: physical
/// experts become logical ones, a pass of several tokens is a request of its own whose prompt it is, and passes of one
/// token are decode steps of the request before them. The file's pickle is read as data; nothing in it runs. Throws
/// BadInputError naming file and record.
ImportedRun importSglangDump(const std::filesystem::path& file, const std::filesystem::path& session,
                             const ImportOptions& options);

}  // namespace expertscope
