// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

// What a program's copy of NVTX calls when it looks for a tool: fills its tables with functions of ours.

#define NVTX_NO_IMPL
#include <nvtx3/nvToolsExt.h>
#if __has_include(<nvtx3/nvToolsExtPayload.h>)
#include <nvtx3/nvToolsExtPayload.h>
#define EXPERTSCOPE_NVTX_PAYLOADS 1
#else
#define EXPERTSCOPE_NVTX_PAYLOADS 0
#endif

namespace expertscope {

/// Takes the tables of NVTX's core; 1 on success, as NVTX expects it.
int nvtxTakeCore(NvtxGetExportTableFunc_t exportTable);
#if EXPERTSCOPE_NVTX_PAYLOADS
/// Takes the functions of NVTX's extension for payloads; 1 on success.
int nvtxTakeExtension(nvtxExtModuleInfo_t* module);
#endif

}  // namespace expertscope
