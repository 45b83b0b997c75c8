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
    struct Pace {
        std::int64_t start = 0;      ///< ns from a transfer's issue to when an idle link begins with it
        std::int64_t latency = 0;    ///< ns a transfer
        double demandPerByte = 0;    ///< ns
        double prefetchPerByte = 0;  ///< ns
        /// Bytes after which a transfer can be interrupted or cancelled, not before: those of one read; 0: anywhere.
        std::int64_t piece = 0;
    };
    SimulatedLink(int slots, const Pace& pace);

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
    std::int64_t letsGoAt(std::int64_t now);
    void interruptPrefetch(std::int64_t now);
    void stop(std::int64_t now);
    Transfer& at(int slot) { return m_transfers[static_cast<std::size_t>(slot)]; }

    double perByte(const Transfer& transfer) const {
        return transfer.urgent ? m_pace.demandPerByte : m_pace.prefetchPerByte;
    }
    Pace m_pace;
    std::vector<Transfer> m_transfers;  ///< [slots]
    Queue m_urgent, m_prefetches;
    int m_moving = -1;               ///< slot
    std::int64_t m_movingStart = 0;  ///< link time from which its bytes flow, its latency past
    std::int64_t m_movingEnd = 0;
    std::int64_t m_free = 0;  ///< when the link was last let go
    double m_moved = 0;
};

}  // namespace expertscope
