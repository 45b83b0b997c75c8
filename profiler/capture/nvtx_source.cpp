// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/capture/nvtx_source.h"

#include <atomic>
#include <cstring>

#include <time.h>
#include <wchar.h>

#include "profiler/capture/nvtx_link.h"

namespace expertscope {
namespace {

constexpr int kNoTracking = -2;  // NVTX_NO_PUSH_POP_TRACKING

struct Domain {
    char* name = nullptr;
    bool passes = true;
};

Domain g_domains[kNvtxMostDomains];
std::atomic<std::uint32_t> g_domainCount{1};  // 0 is the default domain
char g_ignored[64] = "";
std::atomic<std::uint64_t> g_lastString{0}, g_lastRange{0}, g_lastSchema{std::uint64_t{1} << 32};

std::int64_t now() {
    timespec time{};
    clock_gettime(CLOCK_MONOTONIC, &time);
    return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

// ---- texts as UTF-8

std::uint32_t utf8Bytes(wchar_t wide) {
    const auto c = static_cast<std::uint32_t>(wide);
    return c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
}

char* putUtf8(char* to, wchar_t wide) {
    const auto c = static_cast<std::uint32_t>(wide);
    const std::uint32_t bytes = utf8Bytes(wide);
    if (bytes == 1) {
        *to = static_cast<char>(c);
        return to + 1;
    }
    for (std::uint32_t i = bytes; i-- > 1;) {
        to[i] = static_cast<char>(0x80 | (c >> (6 * (bytes - 1 - i)) & 0x3f));
    }
    to[0] = static_cast<char>((0xf00U >> bytes & 0xf0) | c >> (6 * (bytes - 1)));
    return to + bytes;
}

std::uint32_t bytesOf(NvtxText text) {
    if (text.bytes) return static_cast<std::uint32_t>(strnlen(text.bytes, kNvtxMostText));
    std::uint32_t bytes = 0;
    for (const wchar_t* at = text.wide; at && *at && bytes + 4 <= kNvtxMostText; ++at) {
        bytes += utf8Bytes(*at);
    }
    return bytes;
}

void put(char* to, NvtxText text, std::uint32_t bytes) {
    if (text.bytes) {
        memcpy(to, text.bytes, bytes);
        return;
    }
    const char* const end = to + bytes;
    for (const wchar_t* at = text.wide; to != end; ++at) {
        to = putUtf8(to, *at);
    }
}

void define(NvtxMessageKind kind, std::uint32_t domain, std::uint64_t id, NvtxText text) {
    char bytes[kNvtxMostText];
    const std::uint32_t count = bytesOf(text);
    put(bytes, text, count);
    sendDefinition({kind, domain, id, now()}, bytes, count);
}

std::uint16_t& depthOf(NvtxThreadRing& ring, std::uint32_t domain) {
    return ring.depth[domain < kNvtxDepthSlots ? domain : kNvtxDepthSlots - 1];
}

/// A Push, Start or Mark with everything that belongs to it.
void record(NvtxThreadRing& ring, NvtxEventKind kind, std::uint32_t domain, std::uint16_t depth, std::uint64_t id,
            const NvtxAttributes& what) {
    const std::int64_t time = now();
    const std::uint32_t text = what.string ? 0 : bytesOf(what.text);
    const std::uint32_t payload = what.extendedBytes <= kNvtxMostPayload ? what.extendedBytes : 0;
    const std::uint64_t bytes = sizeof(NvtxEvent) + sizeof(NvtxEventBody) + nvtxPadded(text) + nvtxPadded(payload);
    char* at = nvtxReserve(ring, bytes, time);
    if (!at) return;
    NvtxEvent event;
    event.bytes = static_cast<std::uint32_t>(bytes);
    event.kind = kind;
    event.payloadKind = what.payloadKind;
    event.depth = depth;
    event.domain = domain;
    event.category = what.category;
    event.time = time;
    event.id = id;
    memcpy(at, &event, sizeof event);
    const NvtxEventBody body{what.payload, what.string, what.color, text, payload, 0};
    memcpy(at + sizeof event, &body, sizeof body);
    at += sizeof event + sizeof body;
    put(at, what.text, text);
    if (payload) memcpy(at + nvtxPadded(text), what.extended, payload);
    nvtxPublish(ring, bytes);
}

/// A Pop or End.
void record(NvtxThreadRing& ring, NvtxEventKind kind, std::uint32_t domain, std::uint16_t depth, std::uint64_t id) {
    NvtxEvent event;
    event.bytes = sizeof event;
    event.kind = kind;
    event.depth = depth;
    event.domain = domain;
    event.time = now();
    event.id = id;
    char* at = nvtxReserve(ring, sizeof event, event.time);
    if (!at) return;
    memcpy(at, &event, sizeof event);
    nvtxPublish(ring, sizeof event);
}

}  // namespace

bool nvtxConnect(const char* socketPath) { return nvtxLinkTo(socketPath); }
void nvtxConnectHere(int socket) { nvtxLinkHere(socket); }
void nvtxDisconnect() { nvtxUnlink(); }

void nvtxIgnoreDomain(const char* name) { strncpy(g_ignored, name, sizeof g_ignored - 1); }

std::uint32_t defineDomain(NvtxText text) {
    char name[kNvtxMostText + 1];
    const std::uint32_t bytes = bytesOf(text);
    put(name, text, bytes);
    name[bytes] = 0;
    std::uint32_t id = 1;
    {
        const NvtxLock lock;
        const std::uint32_t count = g_domainCount.load();
        while (id < count && strcmp(g_domains[id].name, name) != 0) {
            ++id;
        }
        if (id < count) return id;
        char* copy = id < kNvtxMostDomains ? strdup(name) : nullptr;
        if (!copy) return 0;
        g_domains[id].name = copy;
        g_domains[id].passes = strcmp(name, g_ignored) != 0;
        g_domainCount.store(id + 1);
    }
    sendDefinition({NvtxMessageKind::Domain, id, 0, now()}, name, bytes);
    return id;
}

bool nvtxDomainPasses(std::uint32_t domain) { return domain >= kNvtxMostDomains || g_domains[domain].passes; }

std::uint64_t defineString(NvtxText text) {
    const std::uint64_t id = ++g_lastString;
    define(NvtxMessageKind::String, 0, id, text);
    return id;
}

void defineCategory(std::uint32_t domain, std::uint32_t category, NvtxText name) {
    define(NvtxMessageKind::Category, domain, category, name);
}

void defineThreadName(std::uint32_t thread, NvtxText name) { define(NvtxMessageKind::Thread, 0, thread, name); }

std::uint64_t defineSchema(std::uint32_t domain, std::uint64_t staticId, const char* entries, std::size_t bytes) {
    const std::uint64_t id = staticId ? staticId : ++g_lastSchema;
    sendDefinition({NvtxMessageKind::Schema, domain, id, now()}, entries, bytes);
    return id;
}

void tellMark(std::uint32_t domain, const NvtxAttributes& what) {
    if (NvtxThreadRing* ring = nvtxThreadRing()) record(*ring, NvtxEventKind::Mark, domain, 0, 0, what);
}

int tellPush(std::uint32_t domain, const NvtxAttributes& what) {
    NvtxThreadRing* ring = nvtxThreadRing();
    if (!ring) return kNoTracking;
    const std::uint16_t depth = depthOf(*ring, domain)++;
    record(*ring, NvtxEventKind::Push, domain, depth, 0, what);
    return depth;
}

int tellPop(std::uint32_t domain) {
    NvtxThreadRing* ring = nvtxThreadRing();
    if (!ring || depthOf(*ring, domain) == 0) return kNoTracking;
    const std::uint16_t depth = --depthOf(*ring, domain);
    record(*ring, NvtxEventKind::Pop, domain, depth, 0);
    return depth;
}

std::uint64_t tellStart(std::uint32_t domain, const NvtxAttributes& what) {
    const std::uint64_t id = ++g_lastRange;
    if (NvtxThreadRing* ring = nvtxThreadRing()) record(*ring, NvtxEventKind::Start, domain, 0, id, what);
    return id;
}

void tellEnd(std::uint64_t range) {
    if (NvtxThreadRing* ring = nvtxThreadRing()) record(*ring, NvtxEventKind::End, 0, 0, range);
}

}  // namespace expertscope
