// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include <sys/types.h>

#include "profiler/capture/loss_report.h"
#include "profiler/capture/nvtx_names.h"
#include "profiler/capture/nvtx_payload.h"
#include "profiler/capture/nvtx_ranges.h"
#include "profiler/capture/nvtx_wire.h"

namespace expertscope {

class NvtxSelections;

/// What the processes of one recording share.
struct NvtxShared {
    Observer& observer;
    NvtxNames& names;
    NvtxSelections& selections;
    LossReport& losses;
    std::int32_t& nextLane;
};

/// One process whose NVTX calls are received: reads its socket and rings (nvtx_wire.h) and makes spans and selections
/// of them. What it finds in them may be anything: the process may have overwritten its memory before it crashed.
class NvtxProcess {
public:
    /// Owns `socket`.
    NvtxProcess(int socket, const NvtxShared& shared);
    ~NvtxProcess();
    NvtxProcess(const NvtxProcess&) = delete;
    NvtxProcess& operator=(const NvtxProcess&) = delete;

    /// Takes everything that is there; whether it was anything.
    bool drain();
    /// Whether the process is gone and all it left is read.
    bool ended() const { return m_ended; }
    /// Ends open ranges and tells what was missing.
    void finish();

    std::int64_t pid() const { return m_pid; }
    std::int64_t ranges() const { return m_ranges ? m_ranges->ranges() : 0; }
    std::int64_t marks() const { return m_ranges ? m_ranges->marks() : 0; }

private:
    struct Ring {
        std::uint64_t thread = 0;
        NvtxRingHead* head = nullptr;
        const char* data = nullptr;
        std::uint64_t capacity = 0;
        std::size_t mappedBytes = 0;
        std::uint64_t at = 0, end = 0;
        bool closed = false;
    };
    struct Said {  ///< an event's body with its texts
        std::string_view text, payload;
        NvtxEventBody body;
    };

    bool readSocket();
    bool isAlive() const;
    void take(const NvtxMessage& message, std::string_view text, int file);
    void greet(const NvtxMessage& message, std::string_view program);
    void addRing(std::uint64_t thread, int file);
    void noteEnds();
    bool readRings();
    bool readRing(Ring& ring);
    bool takeEvent(const Ring& ring, const char* bytes, std::uint64_t room, std::uint64_t& taken);
    void takeSaid(const Ring& ring, const NvtxEvent& event, const Said& said);
    SpanRecord rangeOf(const NvtxEvent& event, const Said& said, std::string_view text);
    RangeNameId nameOf(const NvtxEvent& event, const Said& said, std::string_view text);
    void takeConvention(const NvtxEvent& event, const Said& said, std::string_view text);
    void tell(const char* name, Severity severity, std::int64_t count, std::string sentence) const;
    static void unmap(Ring& ring);

    int m_socket;
    NvtxShared m_shared;
    std::int64_t m_pid = 0;  ///< as the process knows itself
    pid_t m_peer = -1;       ///< as this one knows it
    std::string m_program;
    std::optional<NvtxRanges> m_ranges;
    std::vector<Ring> m_rings;
    std::unordered_map<std::uint32_t, std::string> m_domains;
    std::unordered_map<std::uint64_t, std::string> m_strings;
    std::map<std::pair<std::uint32_t, std::uint32_t>, std::string> m_categories;
    std::unordered_map<std::uint64_t, NvtxSchema> m_schemas;
    bool m_hungUp = false, m_ended = false, m_finished = false;
    std::int64_t m_missingRings = 0, m_damaged = 0;
};

}  // namespace expertscope
