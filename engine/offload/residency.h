// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <optional>
#include <vector>

#include "engine/offload/eviction.h"

namespace expertscope {

/// Which expert owns which slot, in logical order. Knows nothing of bytes or time: an expert is present from the moment
/// its slot is reserved. Plain equivalent: a map expert → slot with "evict the lowest score". A reservation costs what
/// the rule's victim() costs.
class Residency {
public:
    using Guard = EvictionGuard;
    struct Reservation {
        SlotIndex slot;
        std::optional<ExpertRef> victim;
        double victimScore = 0;
    };

    Residency(const OffloadContext& context, const CacheDomain& domain, EvictionRule& rule);

    bool present(ExpertRef ref) const { return m_slotOf[index(ref)] >= 0; }
    SlotIndex slotOf(ExpertRef ref) const { return SlotIndex(m_slotOf[index(ref)]); }
    Guard guard(ExpertRef ref) const { return m_guard[index(ref)]; }
    void setGuard(ExpertRef ref, Guard guard) { setGuard(index(ref), guard); }
    /// Experts with that guard.
    int pinned() const { return m_pinned; }
    /// A selection used the expert, present or not (frequency outlives eviction).
    void use(ExpertRef ref, bool first);
    /// Gives `ref`, which is absent, a slot: a free one of its domain or that of the lowest-scored expert with no guard
    /// (for a demand, else of the lowest-scored expected one, else, where it `takesPinned`, of a pinned one). Nothing
    /// when all are guarded.
    std::optional<Reservation> reserve(ExpertRef ref, bool demand, bool takesPinned = true);
    /// reserve() for a demand that may take any slot, where nobody asks whose it was: the fast half of a replay.
    bool admit(ExpertRef ref);
    /// Gives the slot of `ref`, which is present, back.
    SlotIndex release(ExpertRef ref);
    /// Of a layer that holds more than its share (CacheDomain::prefetchesBeside) the unguarded expert with the lowest
    /// score; nothing where it does not.
    std::optional<ExpertRef> surplus(LayerIndex layer) const;
    /// Of the unguarded experts (of `layer`; −1: of all layers) the one that the rule would take; nothing where all are
    /// guarded.
    std::optional<ExpertRef> lowest(int layer) const;
    double score(ExpertRef ref) const { return m_rule->score(m_shape.flat(ref)); }

    const OffloadShape& shape() const { return m_shape; }
    int occupied() const { return m_shape.slots - static_cast<int>(m_free.size()); }
    int occupied(LayerIndex layer) const { return m_occupied[layer.index()]; }
    /// Experts present, in order of their slot.
    std::vector<ExpertRef> residents() const;

private:
    EvictionCandidates candidates(Guard guard, int layer) const;
    std::size_t index(ExpertRef ref) const { return static_cast<std::size_t>(m_shape.flat(ref)); }
    void setGuard(std::size_t expert, Guard guard) {
        Guard& now = m_guard[expert];
        m_pinned += (guard == Guard::Pinned ? 1 : 0) - (now == Guard::Pinned ? 1 : 0);
        now = guard;
    }
    int findVictim(bool demand, bool takesPinned, int layer) const;
    /// Of reserve(): the slot, or −1, and the victim, or −1.
    struct Claim {
        int slot = -1, victim = -1;
    };
    Claim claim(ExpertRef ref, bool demand, bool takesPinned, double* victimScore);
    void leave(int expert);

    OffloadShape m_shape;
    CacheDomain m_domain;
    EvictionRule* m_rule;
    std::vector<std::int32_t> m_layerOf;    ///< [experts of all layers]; a table is faster than a division
    std::vector<int> m_slotOf;              ///< [experts of all layers], −1 = absent
    std::vector<int> m_expertIn;            ///< [slots], −1 = free
    std::vector<int> m_free;                ///< free slots, the next one last
    std::vector<int> m_occupied;            ///< [layers]
    std::vector<std::int64_t> m_lastOrder;  ///< [experts of all layers], breaks ties
    std::vector<Guard> m_guard;
    int m_pinned = 0;
    std::int64_t m_order = 0;
};

}  // namespace expertscope
