// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <memory>

#include "engine/base/events.h"
#include "engine/base/run_facts.h"

namespace expertscope {

/// What has been received so far.
struct NvtxCounts {
    std::int64_t processes = 0, ranges = 0, marks = 0, selections = 0, accesses = 0;
    std::int64_t promptTokens = 0, generatedTokens = 0;  ///< of the selections
    Nanoseconds generating;                              ///< from the first to the last generated token's step
    std::int64_t lost = 0;                               ///< events for which a program found no room
};

/// Gathers the NVTX ranges of any number of processes, and tells them to an observer as spans of kind Range, with their
/// lanes and names; what they say by the convention of docs/NVTX.md also as selections. Used from one thread.
class NvtxCollector {
public:
    /// `model`: what is known of it already.
    explicit NvtxCollector(Observer& observer, const ModelFacts& model = {});
    ~NvtxCollector();

    /// Another process, by its end of the socket (nvtx_wire.h), which is the collector's from now on.
    void add(int socket);
    /// Takes everything that is there; whether it was anything. To be called often: a thread's ring holds 20,000
    /// ranges.
    bool drain();
    /// Takes the rest, ends open ranges, tells what was lost.
    void finish();
    NvtxCounts counts() const;

private:
    struct Impl;
    std::unique_ptr<Impl> m_impl;
};

}  // namespace expertscope
