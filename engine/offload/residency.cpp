// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/offload/residency.h"

#include <utility>

namespace expertscope {

Residency::Residency(const OffloadShape& shape, EvictionRule& rule)
    : m_shape(shape),
      m_rule(&rule),
      m_slotOf(static_cast<std::size_t>(shape.total()), -1),
      m_expertIn(static_cast<std::size_t>(shape.slots), -1),
      m_lastOrder(static_cast<std::size_t>(shape.total()), 0),
      m_guard(static_cast<std::size_t>(shape.total()), Guard::None) {
    for (int slot = shape.slots; slot-- > 0;)
        m_free.push_back(slot);
    rule.begin(shape);
}

void Residency::use(ExpertRef ref, bool first) {
    const std::int64_t order = ++m_order;
    m_lastOrder[index(ref)] = order;
    m_rule->onUse(m_shape.flat(ref), order, first);
}

std::optional<Residency::Reservation> Residency::reserve(ExpertRef ref, bool mayTakeExpected) {
    Reservation reservation;
    if (!m_free.empty()) {
        reservation.slot = SlotIndex(m_free.back());
        m_free.pop_back();
    } else {
        int slot = victimSlot(Guard::None);
        if (slot < 0 && mayTakeExpected) slot = victimSlot(Guard::Expected);
        if (slot < 0) return std::nullopt;
        const int victim = m_expertIn[static_cast<std::size_t>(slot)];
        reservation.slot = SlotIndex(slot);
        reservation.victim = m_shape.ref(victim);
        reservation.victimScore = m_rule->score(victim);
        m_slotOf[static_cast<std::size_t>(victim)] = -1;
        m_guard[static_cast<std::size_t>(victim)] = Guard::None;
    }
    m_expertIn[reservation.slot.index()] = m_shape.flat(ref);
    m_slotOf[index(ref)] = reservation.slot.value();
    const std::int64_t order = ++m_order;
    m_lastOrder[index(ref)] = order;
    m_rule->onAdmit(m_shape.flat(ref), order);
    return reservation;
}

int Residency::victimSlot(Guard guard) const {
    int best = -1;
    std::pair<double, std::int64_t> bestKey;
    for (int slot = 0; slot < m_shape.slots; ++slot) {
        const int expert = m_expertIn[static_cast<std::size_t>(slot)];
        if (expert < 0 || m_guard[static_cast<std::size_t>(expert)] != guard) continue;
        const std::pair key{m_rule->score(expert), m_lastOrder[static_cast<std::size_t>(expert)]};
        if (best < 0 || key < bestKey) best = slot, bestKey = key;
    }
    return best;
}

std::vector<ExpertRef> Residency::residents() const {
    std::vector<ExpertRef> refs;
    for (const int expert : m_expertIn)
        if (expert >= 0) refs.push_back(m_shape.ref(expert));
    return refs;
}

}  // namespace expertscope
