// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/offload/residency.h"

namespace expertscope {

Residency::Residency(const OffloadContext& context, const CacheDomain& domain, EvictionRule& rule)
    : m_shape(context.shape),
      m_domain(domain),
      m_rule(&rule),
      m_layerOf(static_cast<std::size_t>(m_shape.total())),
      m_slotOf(static_cast<std::size_t>(m_shape.total()), -1),
      m_expertIn(static_cast<std::size_t>(m_shape.slots), -1),
      m_occupied(static_cast<std::size_t>(m_shape.layers), 0),
      m_lastOrder(static_cast<std::size_t>(m_shape.total()), 0),
      m_guard(static_cast<std::size_t>(m_shape.total()), Guard::None) {
    for (int slot = m_shape.slots; slot-- > 0;)
        m_free.push_back(slot);
    for (int expert = 0; expert < m_shape.total(); ++expert)
        m_layerOf[static_cast<std::size_t>(expert)] = expert / m_shape.experts;
    rule.begin(context);
}

void Residency::use(ExpertRef ref, bool first) {
    const std::int64_t order = ++m_order;
    m_lastOrder[index(ref)] = order;
    m_rule->onUse(m_shape.flat(ref), order, first);
}

std::optional<Residency::Reservation> Residency::reserve(ExpertRef ref, bool demand, bool takesPinned) {
    Reservation reservation;
    const auto [slot, victim] = claim(ref, demand, takesPinned, &reservation.victimScore);
    if (slot < 0) return std::nullopt;
    reservation.slot = SlotIndex(slot);
    if (victim >= 0) reservation.victim = m_shape.ref(victim);
    return reservation;
}

bool Residency::admit(ExpertRef ref) { return claim(ref, true, true, nullptr).slot >= 0; }

Residency::Claim Residency::claim(ExpertRef ref, bool demand, bool takesPinned, double* victimScore) {
    const int expert = m_shape.flat(ref);
    const std::size_t layer = ref.layer.index();
    m_rule->onNeed(expert);
    const bool beside = !demand && m_domain.prefetchesBeside;
    const bool full =
        !m_domain.share.empty() && m_domain.share[layer] > 0 && m_occupied[layer] >= m_domain.share[layer];
    Claim claim;
    if (!m_free.empty() && (!full || beside)) {
        claim.slot = m_free.back();
        m_free.pop_back();
    } else {
        if (beside) return claim;
        claim.victim = findVictim(demand, takesPinned, full ? ref.layer.value() : -1);
        if (claim.victim < 0) return claim;
        claim.slot = m_slotOf[static_cast<std::size_t>(claim.victim)];
        if (victimScore) *victimScore = m_rule->score(claim.victim);
        leave(claim.victim);
    }
    m_expertIn[static_cast<std::size_t>(claim.slot)] = expert;
    m_slotOf[static_cast<std::size_t>(expert)] = claim.slot;
    ++m_occupied[layer];
    const std::int64_t order = ++m_order;
    m_lastOrder[static_cast<std::size_t>(expert)] = order;
    m_rule->onAdmit(expert, order);
    return claim;
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
    setGuard(at, Guard::None);
    --m_occupied[static_cast<std::size_t>(m_layerOf[at])];
    m_rule->onLeave(expert);
}

int Residency::findVictim(bool demand, bool takesPinned, int layer) const {
    for (const Guard guard : {Guard::None, Guard::Expected, Guard::Pinned}) {
        if (guard != Guard::None && !demand) break;
        if (guard == Guard::Pinned && !takesPinned) break;
        const int victim = m_rule->victim(candidates(guard, layer));
        if (victim >= 0) return victim;
    }
    return -1;
}

EvictionCandidates Residency::candidates(Guard guard, int layer) const {
    EvictionCandidates candidates;
    candidates.m_owners = m_expertIn;
    candidates.m_slotOf = m_slotOf.data();
    candidates.m_guards = m_guard.data();
    candidates.m_lastOrder = m_lastOrder.data();
    candidates.m_guard = guard;
    candidates.m_layer = layer;
    if (layer >= 0) {
        candidates.m_first = layer * m_shape.experts;
        candidates.m_end = candidates.m_first + m_shape.experts;
    }
    return candidates;
}

std::optional<ExpertRef> Residency::lowest(int layer) const {
    const int victim = m_rule->victim(candidates(Guard::None, layer));
    if (victim < 0) return std::nullopt;
    return m_shape.ref(victim);
}

std::optional<ExpertRef> Residency::surplus(LayerIndex layer) const {
    if (!m_domain.prefetchesBeside || m_domain.share.empty()) return std::nullopt;
    const int share = m_domain.share[layer.index()];
    if (share == 0 || occupied(layer) <= share) return std::nullopt;
    return lowest(layer.value());
}

std::vector<ExpertRef> Residency::residents() const {
    std::vector<ExpertRef> refs;
    for (const int expert : m_expertIn)
        if (expert >= 0) refs.push_back(m_shape.ref(expert));
    return refs;
}

bool ResidencyView::present(ExpertRef ref) const { return m_residency->present(ref); }
bool ResidencyView::presentLow(ExpertRef ref) const { return m_low && m_low->present(ref); }
int ResidencyView::occupied() const { return m_residency->occupied(); }
int ResidencyView::occupied(LayerIndex layer) const { return m_residency->occupied(layer); }

}  // namespace expertscope
