// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <memory>
#include <string>

#include "engine/base/events.h"

namespace expertscope {

/// Receives the NVTX ranges that code in this program makes, except those of our own domain, while it lives: one at a
/// time. Works only in programs that es_nvtx_injection is linked into (nvtx_static_injection.cpp).
class NvtxReceiver {
public:
    /// Tells `observer`, from a thread of its own, which must outlive it.
    explicit NvtxReceiver(Observer& observer);
    ~NvtxReceiver();
    NvtxReceiver(const NvtxReceiver&) = delete;
    NvtxReceiver& operator=(const NvtxReceiver&) = delete;

    /// One sentence, where another tool has taken this program's NVTX; else empty.
    const std::string& heldByOther() const;
    /// Tells what is left and what was lost, and stops.
    void stop();

private:
    struct Impl;
    std::unique_ptr<Impl> m_impl;
};

}  // namespace expertscope
