// SPDX-License-Identifier: GPL-3.0-or-later
// The library that `expertscope record` puts into other programs (NVTX_INJECTION64_PATH): passes on their NVTX calls to
// the recording process.
#include <cstdlib>

#include "profiler/capture/nvtx_callbacks.h"
#include "profiler/capture/nvtx_source.h"

#define EXPERTSCOPE_EXPORT extern "C" __attribute__((visibility("default")))

EXPERTSCOPE_EXPORT int InitializeInjectionNvtx2(NvtxGetExportTableFunc_t exportTable) {
    const char* socket = getenv(expertscope::kNvtxSocketVariable);
    // With 0 NVTX turns all its functions into nothing: who does not listen costs nothing.
    if (!socket || !expertscope::nvtxConnect(socket)) return 0;
    return expertscope::nvtxTakeCore(exportTable);
}

#if EXPERTSCOPE_NVTX_PAYLOADS
EXPERTSCOPE_EXPORT int InitializeInjectionNvtxExtension(nvtxExtModuleInfo_t* module) {
    return expertscope::nvtxTakeExtension(module);
}
#endif
