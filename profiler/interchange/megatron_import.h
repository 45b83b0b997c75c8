// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <filesystem>

#include "profiler/interchange/import_registry.h"
#include "profiler/interchange/imported_run.h"

namespace expertscope {

bool isMegatronTrace(const FileHead& head);

/// Appends a router trace of Megatron-LM (`router_trace_rank{r}.jsonl` of --moe-routing-trace-path) to a session as an
/// imported run: a line is one layer of a step. A step of several tokens is a request of its own whose prompt it is;
/// steps of one token are decode steps of the request before them. Layers are numbered as the file does. Streamed;
/// memory is that of one step. Throws BadInputError naming file and line.
ImportedRun importMegatron(const std::filesystem::path& file, const std::filesystem::path& session,
                           const ImportOptions& options);

}  // namespace expertscope
