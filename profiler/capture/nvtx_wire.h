// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

// What passes between a program whose NVTX calls we receive and the process that records them, which may be the same
// one. Two ways lead from the first to the second:
//
// - one sequenced-packet socket a process for what is rare and defines something: NvtxMessage and its text;
// - one ring of bytes a thread for the events, in memory that both map (a memory file, handed over with the message
//   Ring). What a program has put there is kept when it crashes, and a producer never waits and makes no system call.
//
// A definition is sent before the first event that uses it. So a reader that notes the rings' ends, then reads the
// socket until it is empty, and then the rings up to those ends, knows every name that it meets.

#include <cstdint>

#include "profiler/capture/loss_counter.h"

namespace expertscope {

/// Raised whenever either side could misread the other.
inline constexpr std::uint32_t kNvtxWireVersion = 1;
/// Where the recording process listens: a path in the file system.
inline constexpr const char* kNvtxSocketVariable = "EXPERTSCOPE_NVTX_SOCKET";
/// The domain of our own engine's annotations.
inline constexpr const char* kNvtxOwnDomain = "expertscope";

inline constexpr std::uint32_t kNvtxMostText = 32 * 1024;     ///< longer texts are cut
inline constexpr std::uint32_t kNvtxMostPayload = 64 * 1024;  ///< larger payloads are left out

enum class NvtxMessageKind : std::uint32_t {
    Hello = 1,     ///< id = process, domain = wire version, text = program
    Ring = 2,      ///< id = thread, text = its name; a file descriptor comes along
    Domain = 3,    ///< domain, text = name
    String = 4,    ///< id = registered string, text
    Category = 5,  ///< domain, id = category, text = name
    Thread = 6,    ///< id = thread, text = new name
    Schema = 7,    ///< domain, id = schema, text = NvtxSchemaEntry records, each with its name, the schema's own first
};

struct NvtxMessage {
    NvtxMessageKind kind = NvtxMessageKind::Hello;
    std::uint32_t domain = 0;
    std::uint64_t id = 0;
    std::int64_t time = 0;
};

/// One field of a payload's layout, followed by `nameBytes` of its name. The first of a schema stands for the whole:
/// `offset` is its size, `count` 1 where its fields are packed.
struct NvtxSchemaEntry {
    std::uint64_t type = 0;    ///< NVTX_PAYLOAD_ENTRY_TYPE_*
    std::uint64_t offset = 0;  ///< from the payload's start; 0 after the first: after the one before, aligned
    std::uint32_t count = 1;   ///< elements; 0: a kind of field that is passed over
    std::uint32_t nameBytes = 0;
};

enum class NvtxEventKind : std::uint8_t { Push = 1, Pop = 2, Start = 3, End = 4, Mark = 5 };
enum class NvtxPayloadKind : std::uint8_t { None = 0, Unsigned = 1, Signed = 2, Real = 3, Extended = 4 };

/// One event in a ring; `bytes` is its whole size, a multiple of 8. Pop and End stop here.
struct NvtxEvent {
    std::uint32_t bytes = 0;
    NvtxEventKind kind = NvtxEventKind::Mark;
    NvtxPayloadKind payloadKind = NvtxPayloadKind::None;
    std::uint16_t depth = 0;   ///< of Push and Pop: ranges of this thread and domain that are open around it
    std::uint32_t domain = 0;  ///< 0: the default one
    std::uint32_t category = 0;
    std::int64_t time = 0;
    std::uint64_t id = 0;  ///< of Start and End: the range
};

/// Follows the NvtxEvent of a Push, Start or Mark; then come the text and the payload, each padded to 8 bytes.
struct NvtxEventBody {
    std::uint64_t payload = 0;  ///< the number's 64 bits; Extended: the schema
    std::uint64_t string = 0;   ///< the registered string; 0: the text follows
    std::uint32_t color = 0;
    std::uint32_t textBytes = 0;
    std::uint32_t payloadBytes = 0;
    std::uint32_t unused = 0;
};

inline constexpr std::uint64_t nvtxPadded(std::uint64_t bytes) { return (bytes + 7) & ~std::uint64_t{7}; }

/// The head of a ring's memory, one page; the data follow. Positions count all bytes ever written. Each side maps the
/// data twice in a row, so that no event is ever in two pieces.
struct NvtxRingHead {
    std::uint32_t version = kNvtxWireVersion;
    std::uint32_t pageBytes = 0;
    std::uint64_t capacity = 0;                               ///< of the data, a power of two and whole pages
    LossCounter lost;                                         ///< events that found no room
    alignas(kCacheLine) std::atomic<std::uint64_t> tail = 0;  ///< written by the producer
    std::atomic<std::uint32_t> closed = 0;                    ///< its thread has ended
    alignas(kCacheLine) std::atomic<std::uint64_t> head = 0;  ///< written by the reader
};

}  // namespace expertscope
