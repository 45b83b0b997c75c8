// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

// The connection of nvtx_source.h to the reader: its socket, what was defined over it, and each thread's ring.

#include <cstddef>
#include <cstdint>

#include "profiler/capture/nvtx_wire.h"

namespace expertscope {

inline constexpr std::uint32_t kNvtxMostDomains = 1024;  ///< further ones count as the default domain
inline constexpr std::uint32_t kNvtxDepthSlots = 64;     ///< domains above share the last slot

/// The calling thread's way to the reader.
struct NvtxThreadRing {
    NvtxRingHead* head = nullptr;
    char* data = nullptr;
    std::uint64_t tail = 0, knownHead = 0;
    std::uint64_t capacity = 0;
    std::size_t mappedBytes = 0;
    std::uint32_t link = 0;  ///< number of the connection it belongs to
    std::uint16_t depth[kNvtxDepthSlots] = {};
};

/// Held while something rare happens; taken around a fork, so that no child finds it held by a thread that it lacks.
class NvtxLock {
public:
    NvtxLock();
    ~NvtxLock();
    NvtxLock(const NvtxLock&) = delete;
    NvtxLock& operator=(const NvtxLock&) = delete;
};

bool nvtxLinkTo(const char* socketPath);
void nvtxLinkHere(int socket);
void nvtxUnlink();

/// The calling thread's ring, made with its first event; null while nobody listens.
NvtxThreadRing* nvtxThreadRing();
/// Room for an event of `bytes`, in one piece, which nvtxPublish() hands over; null, and counted as lost, where there
/// is none.
char* nvtxReserve(NvtxThreadRing& ring, std::uint64_t bytes, std::int64_t now);
void nvtxPublish(NvtxThreadRing& ring, std::uint64_t bytes);

/// Sends a definition, and keeps it for the children that this process may fork.
void sendDefinition(const NvtxMessage& message, const char* text, std::size_t bytes);

}  // namespace expertscope
