// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/offload/planner.h"

#include <algorithm>
#include <array>
#include <cassert>

namespace expertscope {
namespace {

/// The policy's division of the slots; where it makes none, that of a rule with a scope of one layer.
CacheDomain domainOf(const OffloadShape& shape, const Policy& policy, const EvictionRule& rule) {
    CacheDomain domain = policy.domain();
    if (!domain.share.empty() || !rule.perLayer()) return domain;
    domain.share = equalShares(shape);
    return domain;
}

}  // namespace

Planner::Planner(const OffloadContext& context, Policy& policy, EvictionRule* rule)
    : m_shape(context.shape),
      m_policy(&policy),
      m_ownRule((policy.begin(context), policy.makeEviction())),
      m_rule(m_ownRule ? m_ownRule.get() : rule),
      m_residency(context, domainOf(context.shape, policy, *m_rule), *m_rule),
      m_accessOf(static_cast<std::size_t>(context.shape.experts), -1) {
    assert(m_rule);
    if (m_shape.lowSlots > 0) {
        m_lowContext = context;
        m_lowContext.shape.slots = m_shape.lowSlots;
        m_lowRule = policy.makeLowEviction();
        m_low = std::make_unique<Residency>(m_lowContext, CacheDomain{}, *m_lowRule);
    }
    const auto experts = static_cast<std::size_t>(m_shape.experts);
    m_accesses.reserve(experts);
    m_planned.reserve(experts);
    m_lastWave.reserve(experts);
    m_wanted.reserve(static_cast<std::size_t>(m_shape.total()));
    m_expected.reserve(static_cast<std::size_t>(m_shape.total()));
}

void Planner::preload(std::vector<SlotCommand>& commands) {
    commands.clear();
    std::vector<ExpertRef> wanted;
    if (m_policy->keepsAllResident()) {
        for (int flat = 0; flat < m_shape.total(); ++flat)
            wanted.push_back(m_shape.ref(flat));
    } else {
        m_policy->preload(wanted);
    }
    for (const ExpertRef ref : wanted) {
        if (m_residency.occupied() == m_shape.slots) break;
        if (!m_residency.present(ref)) bring(ref, false, TransferPurpose::Preload, commands);
    }
}

void Planner::beginRequest() {
    m_policy->beginRequest();
    m_rule->beginRequest();
    if (m_low) m_lowRule->beginRequest();
}

void Planner::beginLayer(const RoutedLayer& routed, Predictors& predictors) {
    m_layer = routed.layer;
    m_policy->observe(routed, predictors);
    m_rule->onLayer(routed, predictors);
    if (m_low) m_lowRule->onLayer(routed, predictors);
    for (const ExpertAccess& access : m_accesses)
        m_accessOf[access.expert.index()] = -1;
    m_accesses.clear();
    m_lastWave.clear();
    m_waves = 0;
    for (std::size_t i = 0; i < routed.experts.size(); ++i) {
        const ExpertId expert = routed.experts[i];
        if (expert.value() < 0) continue;
        const ExpertRef ref{m_layer, expert};
        int& at = m_accessOf[expert.index()];
        const bool first = at < 0;
        if (first) {
            at = static_cast<int>(m_accesses.size());
            m_accesses.push_back({.expert = expert, .present = m_residency.present(ref)});
        }
        ExpertAccess& access = m_accesses[static_cast<std::size_t>(at)];
        ++access.tokens;
        access.weight = std::max(access.weight, routed.weights[i]);
        m_residency.use(ref, first);
    }
    m_policy->placeMisses(routed, m_accesses);
    if (m_low) placeLow();
    renewPins();
    m_planned.assign(m_accesses.size(), 0);
    for (std::size_t i = 0; i < m_accesses.size(); ++i) {
        if (m_accesses[i].inPlace())
            m_planned[i] = 1;
        else
            tier(m_accesses[i].low).setGuard({m_layer, m_accesses[i].expert}, Residency::Guard::Needed);
    }
    // What was brought for this layer and not chosen may go.
    std::erase_if(m_expected, [&](const Expected& expected) {
        if (expected.expert.layer != m_layer) return false;
        if (tier(expected.low).guard(expected.expert) == Residency::Guard::Expected)
            letGo(expected.expert, expected.low);
        return true;
    });
    m_wanted.clear();
    m_issued = 0;
    m_policy->prefetch(routed, predictors, view(), m_wanted);
}

bool Planner::nextWave(std::vector<int>& wave, std::vector<SlotCommand>& commands) {
    wave.clear();
    commands.clear();
    for (const int done : m_lastWave) {
        const ExpertAccess& access = m_accesses[static_cast<std::size_t>(done)];
        letGo({m_layer, access.expert}, access.low);
    }
    // Those that are present run first: their slots are theirs already, and running them frees slots for the rest.
    if (m_waves == 0) {
        for (std::size_t i = 0; i < m_accesses.size(); ++i) {
            if (!m_accesses[i].present) continue;
            m_planned[i] = 1;
            wave.push_back(static_cast<int>(i));
        }
    }
    std::array<bool, 2> full{};  // no slot is left, in full and in low precision
    for (std::size_t i = 0; i < m_accesses.size(); ++i) {
        const ExpertAccess& access = m_accesses[i];
        if (m_planned[i] || full[access.low]) continue;
        // As long as something can run, what was placed for the whole run keeps its slot: what runs frees another.
        full[access.low] =
            !bring({m_layer, access.expert}, access.low, TransferPurpose::Demand, commands, wave.empty());
        if (full[access.low]) continue;
        m_planned[i] = 1;
        wave.push_back(static_cast<int>(i));
    }
    std::ranges::sort(wave);
    if (m_waves++ == 0) issuePrefetches(commands);
    m_lastWave = wave;
    return !wave.empty();
}

void Planner::endLayer(std::vector<SlotRelease>& releases, std::vector<SlotCommand>& commands) {
    releases.clear();
    commands.clear();
    releaseUnkept(releases);
    issuePrefetches(commands);
}

void Planner::releaseUnkept(std::vector<SlotRelease>& releases) {
    const auto release = [&](ExpertRef ref) {
        const double score = m_residency.score(ref);
        releases.push_back({ref, m_residency.release(ref), score});
    };
    for (int expert = 0; m_policy->releases() && expert < m_shape.experts; ++expert) {
        const ExpertRef ref{m_layer, ExpertId(expert)};
        if (m_residency.present(ref) && m_residency.guard(ref) == Residency::Guard::None && !m_policy->keeps(ref))
            release(ref);
    }
    if (!m_residency.surplus(m_layer)) return;
    for (int expert = 0; expert < m_shape.experts && m_residency.surplus(m_layer); ++expert) {
        const ExpertRef ref{m_layer, ExpertId(expert)};
        const bool used = m_accessOf[ref.expert.index()] >= 0;
        if (m_residency.present(ref) && m_residency.guard(ref) == Residency::Guard::None && !used) release(ref);
    }
    while (const auto surplus = m_residency.surplus(m_layer))
        release(*surplus);
}

bool Planner::bring(ExpertRef ref, bool low, TransferPurpose purpose, std::vector<SlotCommand>& commands,
                    bool takesPinned) {
    Residency& residency = tier(low);
    const Residency::Guard guard = residency.guard(ref);
    const auto reservation = residency.reserve(ref, purpose != TransferPurpose::Prefetch, takesPinned);
    if (!reservation) return false;
    residency.setGuard(ref, guard);
    if (guard == Residency::Guard::None) letGo(ref, low);
    const SlotIndex slot(reservation->slot.value() + (low ? m_shape.slots : 0));
    commands.push_back({ref, slot, purpose, reservation->victim, reservation->victimScore, low});
    return true;
}

SlotIndex Planner::slotOf(const ExpertAccess& access) const {
    const ExpertRef ref{m_layer, access.expert};
    return access.low ? SlotIndex(m_shape.slots + m_low->slotOf(ref).value()) : m_residency.slotOf(ref);
}

/// What the policy wants in low precision is an access of the copy.
void Planner::placeLow() {
    for (ExpertAccess& access : m_accesses) {
        if (access.present || access.action != MissAction::LowPrecision) continue;
        const ExpertRef ref{m_layer, access.expert};
        access.low = true;
        access.present = m_low->present(ref);
        m_low->use(ref, true);
    }
}

/// Frees those of the layer's experts that the policy has ceased to pin.
void Planner::renewPins() {
    if (m_residency.pinned() == 0) return;
    for (int expert = 0; expert < m_shape.experts; ++expert) {
        const ExpertRef ref{m_layer, ExpertId(expert)};
        if (m_residency.guard(ref) == Residency::Guard::Pinned) letGo(ref);
    }
}

/// The expert is guarded by nothing but the policy's placement.
void Planner::letGo(ExpertRef ref, bool low) {
    tier(low).setGuard(ref, !low && m_policy->pins(ref) ? Residency::Guard::Pinned : Residency::Guard::None);
}

void Planner::issuePrefetches(std::vector<SlotCommand>& commands) {
    for (; m_issued < m_wanted.size(); ++m_issued) {
        const ExpertRef ref = m_wanted[m_issued].expert;
        const bool low = m_low && m_wanted[m_issued].low && !m_residency.present(ref);
        Residency& residency = tier(low);
        // A present one is held for its layer too, or the prefetch of its neighbour could push it out.
        if (!residency.present(ref) && !bring(ref, low, TransferPurpose::Prefetch, commands)) break;
        if (residency.guard(ref) == Residency::Guard::None) {
            residency.setGuard(ref, Residency::Guard::Expected);
            m_expected.push_back({ref, low});
        }
    }
}

}  // namespace expertscope
