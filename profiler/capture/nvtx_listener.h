// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <chrono>
#include <filesystem>

#include "profiler/capture/nvtx_collector.h"

namespace expertscope {

/// Where injected programs connect: a socket in a folder of its own that nobody else may enter.
class NvtxListener {
public:
    /// Throws FailedError when no socket can be made.
    NvtxListener();
    ~NvtxListener();
    NvtxListener(const NvtxListener&) = delete;
    NvtxListener& operator=(const NvtxListener&) = delete;

    /// For the variable kNvtxSocketVariable of the programs.
    const std::filesystem::path& path() const { return m_path; }
    /// Hands every process that has connected to the collector; waits up to `patience` for the first.
    void accept(NvtxCollector& collector, std::chrono::milliseconds patience);

private:
    std::filesystem::path m_path;
    int m_socket = -1;
};

}  // namespace expertscope
