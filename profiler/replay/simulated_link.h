// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <vector>

#include "engine/base/ids.h"
#include "engine/base/units.h"

namespace expertscope {

/// A link in simulated time that does what TransferQueue does with a real one: demands before prefetches, each in order
/// of issue; a demand interrupts a prefetch that is moving, which goes on afterwards where it was and pays no second
/// latency; a transfer that loses its slot is cancelled, moving or not. Callers ask with times that never go back;
/// times in nanoseconds from any start. Operations are O(1) amortised: what leaves a queue out of turn stays in it as a
/// stale entry until it is reached. firstArrival() is O(slots asked for) for each arrival before.
class SimulatedLink {
public:
    /// `latency` a transfer, and ns for each byte of a demand and of a prefetch.
    SimulatedLink(int slots, std::int64_t latency, double demandPerByte, double prefetchPerByte);
    SimulatedLink(int slots, std::int64_t latency, double perByte) : SimulatedLink(slots, latency, perByte, perByte) {}

    void submit(SlotIndex slot, std::int64_t bytes, bool urgent, std::int64_t now);
    /// A prefetch has become a demand.
    void promote(SlotIndex slot, std::int64_t now);
    /// Gives up the slot's transfer; false when it has arrived already.
    bool cancel(SlotIndex slot, std::int64_t now);
    bool arrived(SlotIndex slot, std::int64_t now);
    /// When the first of `slots`, none of which has arrived, arrives if nothing else is submitted.
    std::int64_t firstArrival(std::span<const SlotIndex> slots, std::int64_t now);
    /// Bytes that the link has carried, parts of cancelled transfers included.
    double moved() const { return m_moved; }

private:
    struct Transfer {
        double bytes = 0, carried = 0;
        std::int64_t submitted = 0;
        bool urgent = false;
        bool started = false;  ///< has paid its latency
        bool arrived = true;
        std::uint32_t ticket = 0;  ///< of its entry in a queue
    };
    struct Entry {
        int slot = 0;
        std::uint32_t ticket = 0;
    };
    using Queue = std::deque<Entry>;
    void enqueue(Queue& queue, int slot);
    void takeBack(int slot);
    bool stale(const Entry& entry) const {
        return m_transfers[static_cast<std::size_t>(entry.slot)].ticket != entry.ticket;
    }
    void advance(std::int64_t now);
    bool beginNext();
    void stop(std::int64_t now);
    Transfer& at(int slot) { return m_transfers[static_cast<std::size_t>(slot)]; }

    std::int64_t m_latency;
    double perByte(const Transfer& transfer) const { return transfer.urgent ? m_demandPerByte : m_prefetchPerByte; }
    double m_demandPerByte, m_prefetchPerByte;
    std::vector<Transfer> m_transfers;  ///< [slots]
    Queue m_urgent, m_prefetches;
    int m_moving = -1;               ///< slot
    std::int64_t m_movingStart = 0;  ///< link time from which its bytes flow, its latency past
    std::int64_t m_movingEnd = 0;
    std::int64_t m_free = 0;  ///< when the link was last let go
    double m_moved = 0;
};

}  // namespace expertscope
