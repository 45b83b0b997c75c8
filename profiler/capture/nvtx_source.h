// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

// The side that receives a program's NVTX calls and passes them on (nvtx_wire.h). It lives inside programs that are not
// ours, so it needs nothing but the C library: no exceptions, no allocation by C++, no locks but for what is rare.

#include <cstddef>
#include <cstdint>

#include "profiler/capture/nvtx_wire.h"

namespace expertscope {

/// A text as NVTX gives it: bytes, or wide characters.
struct NvtxText {
    const char* bytes = nullptr;
    const wchar_t* wide = nullptr;
};

/// What a Push, Start or Mark says.
struct NvtxAttributes {
    NvtxText text;
    std::uint64_t string = 0;  ///< registered, in place of `text`
    std::uint32_t category = 0;
    std::uint32_t color = 0;
    NvtxPayloadKind payloadKind = NvtxPayloadKind::None;
    std::uint64_t payload = 0;
    const void* extended = nullptr;
    std::uint32_t extendedBytes = 0;
};

/// Connects to whoever listens at `socketPath`, and again in every child that this process forks. False when nobody
/// does.
bool nvtxConnect(const char* socketPath);
/// Speaks to `socket` (and owns it) instead, in this process alone: for a program that records itself.
void nvtxConnectHere(int socket);
/// What is told in the domain of this name is not passed on. Before the domain is made.
void nvtxIgnoreDomain(const char* name);
/// Stops passing on. Threads that are in the middle of a call may finish it.
void nvtxDisconnect();

std::uint32_t defineDomain(NvtxText name);
/// Whether events of the domain are passed on.
bool nvtxDomainPasses(std::uint32_t domain);
std::uint64_t defineString(NvtxText text);
void defineCategory(std::uint32_t domain, std::uint32_t category, NvtxText name);
void defineThreadName(std::uint32_t thread, NvtxText name);
/// `entries`: as the text of NvtxMessageKind::Schema. `staticId` is the program's own number, or 0.
std::uint64_t defineSchema(std::uint32_t domain, std::uint64_t staticId, const char* entries, std::size_t bytes);

void tellMark(std::uint32_t domain, const NvtxAttributes& what);
/// The depth before it, as NVTX wants it back; negative while nobody listens.
int tellPush(std::uint32_t domain, const NvtxAttributes& what);
int tellPop(std::uint32_t domain);
std::uint64_t tellStart(std::uint32_t domain, const NvtxAttributes& what);
void tellEnd(std::uint64_t range);

}  // namespace expertscope
