// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/replay/simulated_link.h"

#include <algorithm>
#include <limits>

namespace expertscope {

SimulatedLink::SimulatedLink(int slots, std::int64_t latency, double nanosecondsPerByte)
    : m_latency(latency), m_perByte(nanosecondsPerByte), m_transfers(static_cast<std::size_t>(slots)) {}

/// Puts the next transfer on the free link; false when there is none.
bool SimulatedLink::beginNext() {
    std::deque<int>& queue = m_urgent.empty() ? m_prefetches : m_urgent;
    if (queue.empty()) return false;
    m_moving = queue.front();
    queue.pop_front();
    Transfer& transfer = at(m_moving);
    m_movingStart = std::max(m_free, transfer.submitted) + (transfer.started ? 0 : m_latency);
    transfer.started = true;
    m_movingEnd = m_movingStart + static_cast<std::int64_t>((transfer.bytes - transfer.carried) * m_perByte);
    return true;
}

/// The link works until `now`.
void SimulatedLink::advance(std::int64_t now) {
    for (;;) {
        if (m_moving < 0 && !beginNext()) return;
        if (m_movingEnd > now) return;
        Transfer& transfer = at(m_moving);
        m_moved += transfer.bytes - transfer.carried;
        transfer.carried = transfer.bytes;
        transfer.arrived = true;
        m_free = m_movingEnd;
        m_moving = -1;
    }
}

/// Takes what is moving off the link, with what it has carried.
void SimulatedLink::stop(std::int64_t now) {
    Transfer& transfer = at(m_moving);
    const double carried =
        m_perByte > 0 ? static_cast<double>(std::max<std::int64_t>(now - m_movingStart, 0)) / m_perByte : 0;
    const double more = std::min(carried, transfer.bytes - transfer.carried);
    transfer.carried += more;
    transfer.submitted = now;
    m_moved += more;
    m_free = now;
    m_moving = -1;
}

void SimulatedLink::submit(SlotIndex slot, std::int64_t bytes, bool urgent, std::int64_t now) {
    advance(now);
    Transfer& transfer = at(slot.value());
    transfer = {.bytes = static_cast<double>(bytes), .submitted = now, .urgent = urgent, .arrived = false};
    (urgent ? m_urgent : m_prefetches).push_back(slot.value());
    if (urgent && m_moving >= 0 && !at(m_moving).urgent) {
        const int interrupted = m_moving;
        stop(now);
        m_prefetches.push_front(interrupted);
    }
    if (m_moving < 0) beginNext();
}

void SimulatedLink::promote(SlotIndex slot, std::int64_t now) {
    advance(now);
    Transfer& transfer = at(slot.value());
    if (transfer.urgent || transfer.arrived) return;
    transfer.urgent = true;
    if (m_moving == slot.value()) return;
    std::erase(m_prefetches, slot.value());
    m_urgent.push_back(slot.value());
    if (m_moving >= 0 && !at(m_moving).urgent) {
        const int interrupted = m_moving;
        stop(now);
        m_prefetches.push_front(interrupted);
        beginNext();
    }
}

bool SimulatedLink::cancel(SlotIndex slot, std::int64_t now) {
    advance(now);
    if (at(slot.value()).arrived) return false;
    if (m_moving == slot.value()) {
        stop(now);
        beginNext();
    } else {
        std::erase(m_urgent, slot.value());
        std::erase(m_prefetches, slot.value());
    }
    at(slot.value()).arrived = true;  // nothing is under way for the slot
    return true;
}

bool SimulatedLink::arrived(SlotIndex slot, std::int64_t now) {
    advance(now);
    return at(slot.value()).arrived;
}

std::int64_t SimulatedLink::firstArrival(std::span<const SlotIndex> slots, std::int64_t now) {
    advance(now);
    const auto awaited = [&](int slot) { return std::ranges::find(slots, SlotIndex(slot)) != slots.end(); };
    // Nothing is submitted while the compute thread waits, so the queues empty in their order.
    while (m_moving >= 0) {
        if (awaited(m_moving)) return m_movingEnd;
        advance(m_movingEnd);
    }
    return std::numeric_limits<std::int64_t>::max();
}

}  // namespace expertscope
