// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/replay/simulated_link.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace expertscope {

SimulatedLink::SimulatedLink(int slots, const Pace& pace)
    : m_pace(pace), m_transfers(static_cast<std::size_t>(slots)) {}

/// Puts the next transfer on the free link; false when there is none.
bool SimulatedLink::beginNext() {
    for (Queue* queue : {&m_urgent, &m_prefetches})
        while (!queue->empty() && stale(queue->front()))
            queue->pop_front();
    Queue& queue = m_urgent.empty() ? m_prefetches : m_urgent;
    if (queue.empty()) return false;
    m_moving = queue.front().slot;
    queue.pop_front();
    Transfer& transfer = at(m_moving);
    m_movingStart = transfer.started ? std::max(m_free, transfer.submitted)
                                     : std::max(m_free, transfer.submitted + m_pace.start) + m_pace.latency;
    transfer.started = true;
    m_movingEnd = m_movingStart + static_cast<std::int64_t>((transfer.bytes - transfer.carried) * perByte(transfer));
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
    const double rate = perByte(transfer);
    const double carried = rate > 0 ? static_cast<double>(std::max<std::int64_t>(now - m_movingStart, 0)) / rate : 0;
    const double more = std::min(carried, transfer.bytes - transfer.carried);
    transfer.carried += more;
    transfer.submitted = now;
    m_moved += more;
    m_free = now;
    m_moving = -1;
}

/// When the link can let go of what is moving: at the end of the piece that it is at.
std::int64_t SimulatedLink::letsGoAt(std::int64_t now) {
    const Transfer& transfer = at(m_moving);
    const double rate = perByte(transfer);
    if (m_pace.piece == 0 || rate <= 0) return now;
    const double since = static_cast<double>(std::max<std::int64_t>(now - m_movingStart, 0)) / rate;
    const auto piece = static_cast<double>(m_pace.piece);
    const double whole = std::min(std::ceil((transfer.carried + since) / piece) * piece, transfer.bytes);
    return m_movingStart + static_cast<std::int64_t>((whole - transfer.carried) * rate);
}

/// A demand waits: a prefetch that is moving makes room, and is the next one afterwards.
void SimulatedLink::interruptPrefetch(std::int64_t now) {
    if (m_moving < 0 || at(m_moving).urgent) return;
    const std::int64_t end = letsGoAt(now);
    if (end >= m_movingEnd) return;
    const int interrupted = m_moving;
    stop(end);
    takeBack(interrupted);
}

/// Puts the slot's transfer at the queue's back, wherever it was.
void SimulatedLink::enqueue(Queue& queue, int slot) {
    // Stale entries stay few, even in a queue that the link never comes to.
    if (queue.size() > 2 * m_transfers.size() + 64) std::erase_if(queue, [&](const Entry& e) { return stale(e); });
    queue.push_back({slot, ++at(slot).ticket});
}

/// An interrupted prefetch is the next one.
void SimulatedLink::takeBack(int slot) { m_prefetches.push_front({slot, at(slot).ticket}); }

void SimulatedLink::submit(SlotIndex slot, std::int64_t bytes, bool urgent, std::int64_t now) {
    advance(now);
    Transfer& transfer = at(slot.value());
    transfer = {.bytes = static_cast<double>(bytes),
                .submitted = now,
                .urgent = urgent,
                .arrived = false,
                .ticket = transfer.ticket};
    enqueue(urgent ? m_urgent : m_prefetches, slot.value());
    if (urgent) interruptPrefetch(now);
    if (m_moving < 0) beginNext();
}

void SimulatedLink::promote(SlotIndex slot, std::int64_t now) {
    advance(now);
    Transfer& transfer = at(slot.value());
    if (transfer.urgent || transfer.arrived) return;
    if (m_moving == slot.value()) {
        // The rest of it moves as a demand, from now on or from when its latency is past.
        const std::int64_t start = std::max(now, m_movingStart);
        stop(now);
        transfer.urgent = true;
        m_moving = slot.value();
        m_movingStart = start;
        m_movingEnd = start + static_cast<std::int64_t>((transfer.bytes - transfer.carried) * perByte(transfer));
        return;
    }
    transfer.urgent = true;
    enqueue(m_urgent, slot.value());
    interruptPrefetch(now);
    if (m_moving < 0) beginNext();
}

bool SimulatedLink::cancel(SlotIndex slot, std::int64_t now) {
    advance(now);
    if (at(slot.value()).arrived) return false;
    if (m_moving == slot.value()) {
        stop(letsGoAt(now));
        beginNext();
    } else {
        ++at(slot.value()).ticket;
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
