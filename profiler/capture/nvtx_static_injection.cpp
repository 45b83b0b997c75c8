// SPDX-License-Identifier: GPL-3.0-or-later
// Makes the program that this file is linked into receive its own NVTX calls. It must reach the linker as an object of
// its own: from an archive or a shared library NVTX's weak definitions win, and nothing is received, without any error.
#include <atomic>

#include "profiler/capture/nvtx_callbacks.h"
#include "profiler/capture/nvtx_injected.h"
#include "profiler/capture/nvtx_source.h"

namespace {

std::atomic<bool> g_taken{false};

int NVTX_API takeOwn(NvtxGetExportTableFunc_t exportTable) {
    // Our own annotations are recorded where they are made, as spans.
    expertscope::nvtxIgnoreDomain(expertscope::kNvtxOwnDomain);
    const int taken = expertscope::nvtxTakeCore(exportTable);
    if (taken) g_taken.store(true);
    return taken;
}

}  // namespace

extern "C" {
NvtxInitializeInjectionNvtxFunc_t InitializeInjectionNvtx2_fnptr = takeOwn;
#if EXPERTSCOPE_NVTX_PAYLOADS
NvtxExtInitializeInjectionFunc_t InitializeInjectionNvtxExtension_fnptr = expertscope::nvtxTakeExtension;
#endif
}

namespace expertscope {

bool nvtxIsOurs() { return g_taken.load(); }

}  // namespace expertscope
