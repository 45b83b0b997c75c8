// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <filesystem>

#include "profiler/interchange/import_registry.h"
#include "profiler/interchange/imported_run.h"

namespace expertscope {

bool isNsysSqlite(const FileHead& head);

/// Appends an Nsight Systems export (`nsys export --type sqlite`) to a session as an imported run without routing:
/// kernels, copies and fills become ranges on lanes of their GPU's streams, CUDA calls and NVTX ranges on lanes of
/// their threads, start–end ranges of their process, marks at their moment. Tables and columns are looked up by name,
/// and only start and end are needed, so that exports of any version are read. Spans that exportNsysSqlite() wrote
/// become what they were. 72 bytes an event are held. Throws BadInputError naming table and row.
ImportedRun importNsysSqlite(const std::filesystem::path& file, const std::filesystem::path& session,
                             const ImportOptions& options);

}  // namespace expertscope
