// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <filesystem>

#include "profiler/interchange/import_registry.h"
#include "profiler/interchange/imported_run.h"

namespace expertscope {

bool isSglangResponse(const FileHead& head);

/// Appends the routing in responses of SGLang (--enable-return-routed-experts) to a session as an imported run:
/// `meta_info.routed_experts` of /generate, `choices[i].sgl_ext.routed_experts` of the OpenAI interface: base64 of raw
/// int32 [prompt + completion − 1, layers, k]. The response tells the tokens but neither layers nor k: the options must
/// tell one of them. Layers are those of the whole model, dense ones among them. Throws BadInputError naming file and
/// response.
ImportedRun importSglang(const std::filesystem::path& file, const std::filesystem::path& session,
                         const ImportOptions& options);

}  // namespace expertscope
