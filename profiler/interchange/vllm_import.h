// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <filesystem>

#include "profiler/interchange/import_registry.h"
#include "profiler/interchange/imported_run.h"

namespace expertscope {

bool isVllmResponse(const FileHead& head);

/// Appends the routing in responses of vLLM (serve --enable-return-routed-experts) to a session as an imported run:
/// `choices[i].routed_experts`, base64 of a `.npy` or nested lists [tokens, layers, k], and `prompt_routed_experts`
/// where it is told apart. A file holds one response, several in a row (JSONL), or an array. Layers are MoE layers, as
/// vLLM counts them. Throws BadInputError naming file and response.
ImportedRun importVllm(const std::filesystem::path& file, const std::filesystem::path& session,
                       const ImportOptions& options);

}  // namespace expertscope
