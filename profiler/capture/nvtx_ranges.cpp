// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/capture/nvtx_ranges.h"

#include <algorithm>

#include <fmt/format.h>

namespace expertscope {
namespace {

constexpr std::size_t kMostEarlyEnds = 1 << 20;

}  // namespace

NvtxRanges::Thread& NvtxRanges::thread(std::uint64_t id) {
    Thread& found = m_threads[id];
    if (found.name.empty()) found.name = fmt::format("thread {}", id);
    return found;
}

void NvtxRanges::nameThread(std::uint64_t id, const std::string& name, bool given) {
    Thread& named = thread(id);
    if (name.empty() || (named.nameGiven && !given)) return;
    named.name = name;
    named.nameGiven = given;
    for (std::size_t level = 0; level < named.lanes.size(); ++level)
        m_observer->onLane(laneInfo(named, level));
}

LaneInfo NvtxRanges::laneInfo(const Thread& thread, std::size_t level) const {
    std::string name = fmt::format("{} · {}", m_process, thread.name);
    if (level > 0) name += fmt::format(" · {}", level + 1);
    return {thread.lanes[level], LaneRole::Thread, std::move(name)};
}

LaneId NvtxRanges::laneOf(Thread& thread, std::size_t level) {
    while (thread.lanes.size() <= level) {
        thread.lanes.push_back(LaneId((*m_nextLane)++));
        m_observer->onLane(laneInfo(thread, thread.lanes.size() - 1));
    }
    return thread.lanes[level];
}

void NvtxRanges::tell(SpanRecord& range, Nanoseconds end) {
    range.end = std::max(end, range.start);
    m_observer->onSpan(range);
}

void NvtxRanges::push(std::uint64_t id, std::uint32_t domain, std::uint16_t depth, Nanoseconds time,
                      const SpanRecord& range) {
    see(time);
    Thread& on = thread(id);
    // Their ends were lost: what opens at their depth now came after them.
    const auto stale = [&](const Open& open) { return open.domain == domain && open.depth >= depth; };
    m_unmatched += static_cast<std::int64_t>(std::erase_if(on.open, stale));
    Open& open = on.open.emplace_back();
    open.range = range;
    open.range.start = time;
    open.domain = domain;
    open.depth = depth;
    // Above what is open, also where the beginning of that was lost.
    const std::size_t above = on.open.size() < 2 ? 0 : on.open[on.open.size() - 2].level + 1;
    open.level = std::max<std::size_t>(above, depth);
    open.range.lane = laneOf(on, open.level);
}

void NvtxRanges::pop(std::uint64_t id, std::uint32_t domain, std::uint16_t depth, Nanoseconds time) {
    see(time);
    Thread& on = thread(id);
    const auto found =
        std::ranges::find_if(on.open, [&](const Open& open) { return open.domain == domain && open.depth == depth; });
    if (found == on.open.end()) {
        ++m_unmatched;
        return;
    }
    ++m_ranges;
    tell(found->range, time);
    // With it go the ranges inside whose own ends were lost.
    const auto stale = [&](const Open& open) { return open.domain == domain && open.depth >= depth; };
    m_unmatched += static_cast<std::int64_t>(std::erase_if(on.open, stale)) - 1;
}

void NvtxRanges::settle() {
    std::ranges::stable_sort(m_crossings, {}, &Crossing::time);
    for (const Crossing& each : m_crossings) {
        see(each.time);
        each.range ? startNow(each) : endNow(each.id, each.time);
    }
    m_crossings.clear();
}

void NvtxRanges::startNow(const Crossing& start) {
    const auto free = std::ranges::find(m_laneTaken, false);
    const auto lane = static_cast<std::size_t>(free - m_laneTaken.begin());
    if (free == m_laneTaken.end()) {
        m_laneTaken.push_back(false);
        m_crossingLanes.push_back(LaneId((*m_nextLane)++));
        std::string name = fmt::format("{} · ranges", m_process);
        if (lane > 0) name += fmt::format(" · {}", lane + 1);
        m_observer->onLane({m_crossingLanes.back(), LaneRole::Ranges, std::move(name)});
    }
    m_laneTaken[lane] = true;
    OpenCrossing& open = m_openCrossings[start.id];
    open.range = *start.range;
    open.range.start = start.time;
    open.range.lane = m_crossingLanes[lane];
    open.lane = lane;
    const auto early = m_earlyEnds.find(start.id);
    if (early == m_earlyEnds.end()) return;
    const Nanoseconds ended = early->second;
    m_earlyEnds.erase(early);
    endNow(start.id, ended);
}

void NvtxRanges::endNow(std::uint64_t id, Nanoseconds time) {
    const auto found = m_openCrossings.find(id);
    if (found == m_openCrossings.end()) {
        if (m_earlyEnds.size() < kMostEarlyEnds) m_earlyEnds[id] = time;
        return;
    }
    ++m_ranges;
    tell(found->second.range, time);
    m_laneTaken[found->second.lane] = false;
    m_openCrossings.erase(found);
}

void NvtxRanges::mark(std::uint64_t id, Nanoseconds time, const SpanRecord& range) {
    see(time);
    Thread& on = thread(id);
    SpanRecord record = range;
    record.start = time;
    record.lane = laneOf(on, on.open.empty() ? 0 : on.open.back().level);
    ++m_marks;
    tell(record, time);
}

std::int64_t NvtxRanges::finish() {
    settle();
    std::int64_t open = 0;
    for (auto& [id, thread] : m_threads) {
        for (Open& each : thread.open)
            tell(each.range, m_last);
        open += static_cast<std::int64_t>(thread.open.size());
        thread.open.clear();
    }
    for (auto& [id, each] : m_openCrossings)
        tell(each.range, m_last);
    open += static_cast<std::int64_t>(m_openCrossings.size());
    m_openCrossings.clear();
    m_ranges += open;
    return open;
}

}  // namespace expertscope
