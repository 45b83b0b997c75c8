// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "profiler/interchange/import_registry.h"
#include "profiler/interchange/imported_run.h"
#include "storage/expert_counts.h"

namespace expertscope {

bool isImatrix(const FileHead& head);

/// What an importance matrix counts: rows of step 0 in order of layer and expert, never none. Throws BadInputError
/// naming file and byte.
struct ImatrixCounts {
    std::vector<ExpertCount> counts;
    std::string datasets;  ///< what it was made from, where it says so
};
ImatrixCounts readImatrix(const std::filesystem::path& file);

/// Appends the expert counts of an importance matrix of llama.cpp (GGUF with
/// `blk.N.ffn_{gate,up,down}_exps.weight.counts`, float32 [1, experts]) to a session as an imported run of counts only.
/// Throws BadInputError naming file and byte.
ImportedRun importImatrix(const std::filesystem::path& file, const std::filesystem::path& session,
                          const ImportOptions& options);

}  // namespace expertscope
