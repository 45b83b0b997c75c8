// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <filesystem>

#include "profiler/interchange/import_registry.h"
#include "profiler/interchange/imported_run.h"

namespace expertscope {

bool isImatrix(const FileHead& head);

/// Appends the expert counts of an importance matrix of llama.cpp (GGUF with
/// `blk.N.ffn_{gate,up,down}_exps.weight.counts`, float32 [1, experts]) to a session as an imported run of counts only.
/// Throws BadInputError naming file and byte.
ImportedRun importImatrix(const std::filesystem::path& file, const std::filesystem::path& session,
                          const ImportOptions& options);

}  // namespace expertscope
