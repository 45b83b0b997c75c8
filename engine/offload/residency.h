// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <optional>
#include <vector>

#include "engine/offload/eviction.h"

namespace expertscope {

/// Which expert owns which slot, in logical order. Knows nothing of bytes or time: an expert is present from the moment
/// its slot is reserved. Plain equivalent: a map expert → slot with "evict the lowest score". A reservation is
/// O(slots).
class Residency {
public:
    /// How an expert is kept from being evicted.
    enum class Guard : std::uint8_t {
        None,
        Expected,  ///< prefetched for a layer still to come: only a demand may take it, and only when nothing else is
                   ///< left
        Needed,    ///< the current layer still has to run it
    };
    struct Reservation {
        SlotIndex slot;
        std::optional<ExpertRef> victim;
        double victimScore = 0;
    };

    Residency(const OffloadShape& shape, EvictionRule& rule);

    bool present(ExpertRef ref) const { return m_slotOf[index(ref)] >= 0; }
    SlotIndex slotOf(ExpertRef ref) const { return SlotIndex(m_slotOf[index(ref)]); }
    Guard guard(ExpertRef ref) const { return m_guard[index(ref)]; }
    void setGuard(ExpertRef ref, Guard guard) { m_guard[index(ref)] = guard; }
    /// A selection used the expert, present or not (frequency outlives eviction).
    void use(ExpertRef ref, bool first);
    /// Gives `ref`, which is absent, a slot: a free one or that of the lowest-scored expert with no guard (with
    /// `mayTakeExpected`, else of the lowest-scored expected one). Nothing when all slots are guarded.
    std::optional<Reservation> reserve(ExpertRef ref, bool mayTakeExpected);

    const OffloadShape& shape() const { return m_shape; }
    int occupied() const { return m_shape.slots - static_cast<int>(m_free.size()); }
    /// Experts present, in order of their slot.
    std::vector<ExpertRef> residents() const;

private:
    std::size_t index(ExpertRef ref) const { return static_cast<std::size_t>(m_shape.flat(ref)); }
    int victimSlot(Guard guard) const;

    OffloadShape m_shape;
    EvictionRule* m_rule;
    std::vector<int> m_slotOf;              ///< [experts of all layers], −1 = absent
    std::vector<int> m_expertIn;            ///< [slots], −1 = free
    std::vector<int> m_free;                ///< free slots, the next one last
    std::vector<std::int64_t> m_lastOrder;  ///< [experts of all layers], breaks ties
    std::vector<Guard> m_guard;
    std::int64_t m_order = 0;
};

}  // namespace expertscope
