// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/offload/planner.h"

#include <algorithm>

namespace expertscope {

Planner::Planner(const OffloadShape& shape, Policy& policy, EvictionRule& rule)
    : m_shape(shape), m_policy(&policy), m_residency(shape, rule), m_seen(static_cast<std::size_t>(shape.experts)) {
    policy.begin(shape);
    const auto experts = static_cast<std::size_t>(shape.experts);
    m_accesses.reserve(experts);
    m_planned.reserve(experts);
    m_lastWave.reserve(experts);
    m_wanted.reserve(static_cast<std::size_t>(shape.total()));
    m_expected.reserve(static_cast<std::size_t>(shape.total()));
}

void Planner::preload(std::vector<SlotCommand>& commands) {
    for (int flat = 0; flat < m_shape.total(); ++flat)
        bring(m_shape.ref(flat), TransferPurpose::Preload, commands);
}

void Planner::beginLayer(const RoutedLayer& routed, Predictors& predictors) {
    m_layer = routed.layer;
    m_accesses.clear();
    m_lastWave.clear();
    m_waves = 0;
    std::ranges::fill(m_seen, char{0});
    for (const ExpertId expert : routed.experts) {
        const ExpertRef ref{m_layer, expert};
        const bool first = !m_seen[expert.index()];
        if (first) {
            m_seen[expert.index()] = 1;
            m_accesses.push_back({expert, m_residency.present(ref)});
            m_residency.setGuard(ref, Residency::Guard::Needed);
        }
        m_residency.use(ref, first);
    }
    m_planned.assign(m_accesses.size(), 0);
    // What was brought for this layer and not chosen may go.
    std::erase_if(m_expected, [&](ExpertRef ref) {
        if (ref.layer != m_layer) return false;
        if (m_residency.guard(ref) == Residency::Guard::Expected) m_residency.setGuard(ref, Residency::Guard::None);
        return true;
    });
    m_wanted.clear();
    m_policy->prefetch(routed, predictors, m_wanted);
}

bool Planner::nextWave(std::vector<int>& wave, std::vector<SlotCommand>& commands) {
    wave.clear();
    commands.clear();
    for (const int done : m_lastWave)
        m_residency.setGuard({m_layer, m_accesses[static_cast<std::size_t>(done)].expert}, Residency::Guard::None);
    // Those that are present run first: their slots are theirs already, and running them frees slots for the rest.
    if (m_waves == 0) {
        for (std::size_t i = 0; i < m_accesses.size(); ++i) {
            if (!m_accesses[i].present) continue;
            m_planned[i] = 1;
            wave.push_back(static_cast<int>(i));
        }
    }
    for (std::size_t i = 0; i < m_accesses.size(); ++i) {
        if (m_planned[i]) continue;
        if (!bring({m_layer, m_accesses[i].expert}, TransferPurpose::Demand, commands)) break;
        m_planned[i] = 1;
        wave.push_back(static_cast<int>(i));
    }
    std::ranges::sort(wave);
    if (m_waves++ == 0) issuePrefetches(commands);
    m_lastWave = wave;
    return !wave.empty();
}

void Planner::endLayer(std::vector<SlotCommand>& commands) {
    commands.clear();
    issuePrefetches(commands);
    m_wanted.clear();
}

bool Planner::bring(ExpertRef ref, TransferPurpose purpose, std::vector<SlotCommand>& commands) {
    const Residency::Guard guard = m_residency.guard(ref);
    const auto reservation = m_residency.reserve(ref, purpose != TransferPurpose::Prefetch);
    if (!reservation) return false;
    m_residency.setGuard(ref, guard);
    commands.push_back({ref, reservation->slot, purpose, reservation->victim, reservation->victimScore});
    return true;
}

void Planner::issuePrefetches(std::vector<SlotCommand>& commands) {
    std::size_t taken = 0;
    for (; taken < m_wanted.size(); ++taken) {
        const ExpertRef ref = m_wanted[taken];
        // A present one is held for its layer too, or the prefetch of its neighbour could push it out.
        if (!m_residency.present(ref) && !bring(ref, TransferPurpose::Prefetch, commands)) break;
        if (m_residency.guard(ref) == Residency::Guard::None) {
            m_residency.setGuard(ref, Residency::Guard::Expected);
            m_expected.push_back(ref);
        }
    }
    m_wanted.erase(m_wanted.begin(), m_wanted.begin() + static_cast<std::ptrdiff_t>(taken));
}

}  // namespace expertscope
