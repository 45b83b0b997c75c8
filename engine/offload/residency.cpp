// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/offload/residency.h"


namespace expertscope {

Residency::Residency(const OffloadContext& context, const CacheDomain& domain, EvictionRule& rule)
    : m_shape(context.shape),
      m_domain(domain),
      m_rule(&rule),
      m_slotOf(static_cast<std::size_t>(m_shape.total()), -1),
      m_expertIn(static_cast<std::size_t>(m_shape.slots), -1),
      m_occupied(static_cast<std::size_t>(m_shape.layers), 0),
      m_lastOrder(static_cast<std::size_t>(m_shape.total()), 0),
      m_guard(static_cast<std::size_t>(m_shape.total()), Guard::None) {
    for (int slot = m_shape.slots; slot-- > 0;)
        m_free.push_back(slot);
    rule.begin(context);
}

void Residency::use(ExpertRef ref, bool first) {
    const std::int64_t order = ++m_order;
    m_lastOrder[index(ref)] = order;
    m_rule->onUse(m_shape.flat(ref), order, first);
}

std::optional<Residency::Reservation> Residency::reserve(ExpertRef ref, bool demand) {
    Reservation reservation;
    const bool beside = !demand && m_domain.prefetchesBeside;
    const bool full = !m_domain.share.empty() && m_domain.share[ref.layer.index()] > 0 &&
                      occupied(ref.layer) >= m_domain.share[ref.layer.index()];
    if (!m_free.empty() && (!full || beside)) {
        reservation.slot = SlotIndex(m_free.back());
        m_free.pop_back();
    } else {
        if (beside) return std::nullopt;
        const int victim = findVictim(demand, full ? ref.layer.value() : -1);
        if (victim < 0) return std::nullopt;
        reservation.slot = SlotIndex(m_slotOf[static_cast<std::size_t>(victim)]);
        reservation.victim = m_shape.ref(victim);
        reservation.victimScore = m_rule->score(victim);
        leave(victim);
    }
    m_expertIn[reservation.slot.index()] = m_shape.flat(ref);
    m_slotOf[index(ref)] = reservation.slot.value();
    ++m_occupied[ref.layer.index()];
    const std::int64_t order = ++m_order;
    m_lastOrder[index(ref)] = order;
    m_rule->onAdmit(m_shape.flat(ref), order);
    return reservation;
}

SlotIndex Residency::release(ExpertRef ref) {
    const SlotIndex slot = slotOf(ref);
    leave(m_shape.flat(ref));
    m_expertIn[slot.index()] = -1;
    m_free.push_back(slot.value());
    return slot;
}

void Residency::leave(int expert) {
    const auto at = static_cast<std::size_t>(expert);
    m_slotOf[at] = -1;
    m_guard[at] = Guard::None;
    --m_occupied[m_shape.ref(expert).layer.index()];
    m_rule->onLeave(expert);
}

int Residency::findVictim(bool demand, int layer) const {
    for (const Guard guard : {Guard::None, Guard::Expected, Guard::Pinned}) {
        if (guard != Guard::None && !demand) break;
        const int victim = m_rule->victim(EvictionCandidates(*this, static_cast<int>(guard), layer));
        if (victim >= 0) return victim;
    }
    return -1;
}

std::optional<ExpertRef> Residency::surplus(LayerIndex layer) const {
    if (!m_domain.prefetchesBeside || m_domain.share.empty()) return std::nullopt;
    const int share = m_domain.share[layer.index()];
    if (share == 0 || occupied(layer) <= share) return std::nullopt;
    const int victim = m_rule->victim(EvictionCandidates(*this, static_cast<int>(Guard::None), layer.value()));
    if (victim < 0) return std::nullopt;
    return m_shape.ref(victim);
}

std::vector<ExpertRef> Residency::residents() const {
    std::vector<ExpertRef> refs;
    for (const int expert : m_expertIn)
        if (expert >= 0) refs.push_back(m_shape.ref(expert));
    return refs;
}

bool ResidencyView::present(ExpertRef ref) const { return m_residency->present(ref); }
int ResidencyView::occupied() const { return m_residency->occupied(); }
int ResidencyView::occupied(LayerIndex layer) const { return m_residency->occupied(layer); }

std::span<const int> EvictionCandidates::owners() const { return m_residency->m_expertIn; }

bool EvictionCandidates::contains(int expert) const {
    const auto at = static_cast<std::size_t>(expert);
    return m_residency->m_slotOf[at] >= 0 && static_cast<int>(m_residency->m_guard[at]) == m_guard &&
           (m_layer < 0 || m_residency->m_shape.ref(expert).layer.value() == m_layer);
}

std::int64_t EvictionCandidates::lastOrder(int expert) const {
    return m_residency->m_lastOrder[static_cast<std::size_t>(expert)];
}

}  // namespace expertscope
