// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <filesystem>
#include <vector>

#include "profiler/interchange/imported_run.h"
#include "storage/expert_counts.h"

namespace expertscope {

/// Appends counts of choices to a session as an imported run without routing: the rows of table `expert_count`, and
/// notes that say what such a run lacks. `model` is what the file says of it; `notes` are added. Throws FailedError
/// when the session cannot be written, UsageError where the options contradict the counts.
ImportedRun importCounts(const std::filesystem::path& session, ModelFacts model, const std::vector<ExpertCount>& counts,
                         const ImportOptions& options, std::vector<std::string> notes);

}  // namespace expertscope
