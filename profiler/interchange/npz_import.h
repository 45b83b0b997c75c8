// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <filesystem>
#include <memory>

#include "profiler/interchange/import_registry.h"
#include "profiler/interchange/imported_run.h"
#include "profiler/interchange/route_rows.h"

namespace expertscope {

bool isNpy(const FileHead& head);
bool isNpz(const FileHead& head);

/// Appends an array of expert numbers [tokens, layers, k] (or [tokens, layers], k = 1) to a session as an imported run;
/// every token is a decode step. Streamed. Throws BadInputError naming file and byte or token.
ImportedRun importNpy(const std::filesystem::path& file, const std::filesystem::path& session,
                      const ImportOptions& options);

/// The rows of an `.npz`, for importRouting() and for checks. Throws BadInputError.
std::unique_ptr<RouteRowSource> openNpzRoutes(const std::filesystem::path& file);

/// The same of the array routed_experts (or experts, topk_ids, expert_ids, arr_0) of an `.npz`; where they are there
/// also weights and outcome of its shape, and request, position, phase, step and token_id, one value a token
/// (docs/FORMATS.md).
ImportedRun importNpz(const std::filesystem::path& file, const std::filesystem::path& session,
                      const ImportOptions& options);

}  // namespace expertscope
