// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/base/events.h"

namespace expertscope {

/// Lanes of a recording, from this number on; below are those of our own engine.
inline constexpr std::int32_t kFirstNvtxLane = 1000;

/// Makes spans of the begins and ends of one process's ranges: each thread has a lane for every level of nesting;
/// ranges that may end on other threads have lanes of the process, as many as are open at once.
class NvtxRanges {
public:
    /// `nextLane`: the next free lane of the recording, common to its processes.
    NvtxRanges(Observer& observer, std::string process, std::int32_t& nextLane)
        : m_observer(&observer), m_process(std::move(process)), m_nextLane(&nextLane) {}

    /// `given`: by the program itself, which the name that the system knows does not replace.
    void nameThread(std::uint64_t thread, const std::string& name, bool given);
    /// `range` has everything but times and lane. `depth`: of the thread's ranges in this domain, as the program
    /// counted them, so that a lost event spoils no other range.
    void push(std::uint64_t thread, std::uint32_t domain, std::uint16_t depth, Nanoseconds time,
              const SpanRecord& range);
    void pop(std::uint64_t thread, std::uint32_t domain, std::uint16_t depth, Nanoseconds time);
    /// These come from all threads' rings, one ring after the other: settle() puts them into the order of their times.
    void start(std::uint64_t id, Nanoseconds time, const SpanRecord& range) {
        m_crossings.push_back({time, id, range});
    }
    void end(std::uint64_t id, Nanoseconds time) { m_crossings.push_back({time, id, std::nullopt}); }
    /// After every pass over the rings.
    void settle();
    void mark(std::uint64_t thread, Nanoseconds time, const SpanRecord& range);
    /// Ends what is open, at the time of the last event; how many ranges that were.
    std::int64_t finish();

    std::int64_t ranges() const { return m_ranges; }
    std::int64_t marks() const { return m_marks; }
    /// Ends whose beginning was not told: it was lost, or came before the recording.
    std::int64_t unmatched() const { return m_unmatched + static_cast<std::int64_t>(m_earlyEnds.size()); }
    Nanoseconds lastTime() const { return m_last; }

private:
    struct Open {
        SpanRecord range;
        std::uint32_t domain = 0;
        std::uint16_t depth = 0;
        std::size_t level = 0;
    };
    struct Thread {
        std::string name;
        bool nameGiven = false;
        std::vector<Open> open;  ///< from the outermost
        std::vector<LaneId> lanes;
    };
    struct OpenCrossing {
        SpanRecord range;
        std::size_t lane = 0;
    };

    struct Crossing {
        Nanoseconds time;
        std::uint64_t id = 0;
        std::optional<SpanRecord> range;  ///< of a start
    };

    void startNow(const Crossing& start);
    void endNow(std::uint64_t id, Nanoseconds time);
    Thread& thread(std::uint64_t id);
    LaneId laneOf(Thread& thread, std::size_t level);
    LaneInfo laneInfo(const Thread& thread, std::size_t level) const;
    void tell(SpanRecord& range, Nanoseconds end);
    void see(Nanoseconds time) { m_last = std::max(m_last, time); }

    Observer* m_observer;
    std::string m_process;
    std::int32_t* m_nextLane;
    std::map<std::uint64_t, Thread> m_threads;
    std::vector<Crossing> m_crossings;  ///< not settled
    std::unordered_map<std::uint64_t, OpenCrossing> m_openCrossings;
    /// Ends that were read before their beginnings, which are in another thread's ring.
    std::unordered_map<std::uint64_t, Nanoseconds> m_earlyEnds;
    std::vector<LaneId> m_crossingLanes;
    std::vector<bool> m_laneTaken;
    std::int64_t m_ranges = 0, m_marks = 0, m_unmatched = 0;
    Nanoseconds m_last;
};

}  // namespace expertscope
