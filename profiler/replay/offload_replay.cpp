// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/replay/offload_replay.h"

#include <algorithm>

namespace expertscope {

OffloadReplay::OffloadReplay(const RoutingTrace& trace, const OffloadContext& context, Policy& policy,
                             EvictionRule* rule, std::optional<Timing> timing)
    : m_trace(trace),
      m_context(context),
      m_policy(policy),
      m_timing(timing),
      m_planner(m_context, policy, rule),
      m_link(context.shape.slots + context.shape.lowSlots, timing ? timing->link : SimulatedLink::Pace{}),
      m_fillings(static_cast<std::size_t>(context.shape.slots + context.shape.lowSlots)) {}

SlotIndex OffloadReplay::slotOf(int access) const {
    return m_planner.slotOf(m_planner.accesses()[static_cast<std::size_t>(access)]);
}

OffloadCounts OffloadReplay::run() {
    m_began = std::chrono::steady_clock::now();
    preload();
    ReplayPredictors predictors(m_trace, &m_policy);
    std::optional<RequestIndex> request;
    for (std::size_t s = 0; s < m_trace.steps().size(); ++s) {
        m_counts.ended = endsBefore(s);
        if (m_counts.ended != OffloadCounts::Ended::Whole) break;
        const RoutingTrace::Step& step = m_trace.steps()[s];
        if (request != step.request) {
            request = step.request;
            m_planner.beginRequest();
        }
        const std::int64_t began = m_now;
        runStep(s, predictors);
        if (step.phase != Phase::Decode) continue;
        m_counts.decodeTime += m_now - began;
        ++m_counts.decodeSteps;
    }
    finish();
    m_counts.missing = predictors.missing();
    return m_counts;
}

void OffloadReplay::runStep(std::size_t s, ReplayPredictors& predictors) {
    const RoutingTrace::Step& step = m_trace.steps()[s];
    for (std::uint32_t g = step.firstGroup; g < step.firstGroup + step.groups; ++g) {
        predictors.enter(g);
        m_layer = m_trace.groups()[g].layer;
        if (timed()) m_now += m_timing->times->before[g];
        m_planner.beginLayer(m_trace.routed(g), predictors);
        runGroup(g);
    }
    if (timed()) m_now += m_timing->times->tail[s];
}

OffloadCounts::Ended OffloadReplay::endsBefore(std::size_t step) {
    using Ended = OffloadCounts::Ended;
    if (m_limits.stop && m_limits.stop->load(std::memory_order_relaxed)) return Ended::Stopped;
    if (m_limits.accesses == 0 && m_limits.patience.count() == 0) return Ended::Whole;
    const std::int64_t done = m_trace.groups()[m_trace.steps()[step].firstGroup].firstAccess;
    const auto spent = std::chrono::steady_clock::now() - m_began;
    const auto past = [&](int parts) {
        return (m_limits.accesses > 0 && parts * done >= m_limits.accesses) ||
               (m_limits.patience.count() > 0 && parts * spent >= m_limits.patience);
    };
    if (past(1)) return Ended::Early;
    if (!m_warm && past(2)) {
        m_warm = true;
        m_counts.decodeTime = m_counts.decodeSteps = 0;
        m_counts.cache.decodeAccesses = m_counts.cache.decodeHits = 0;
        m_counts.waited = 0;
    }
    return Ended::Whole;
}

void OffloadReplay::preload() {
    m_planner.preload(m_commands);
    for (const SlotCommand& command : m_commands)
        m_fillings[command.slot.index()] = {};
}

void OffloadReplay::runGroup(std::size_t g) {
    countAccesses(g);
    if (timed()) startInPlace(g);
    runWaves(g);
    if (timed()) waitInPlace();
    m_planner.endLayer(m_releases, m_commands);
    for (const SlotRelease& release : m_releases)
        leave(release.slot);
    execute(m_commands);
    if (timed()) m_now += m_timing->times->after[g];
}

void OffloadReplay::countAccesses(std::size_t g) {
    const auto& accesses = m_planner.accesses();
    std::int64_t hits = 0;
    for (std::size_t i = 0; i < accesses.size(); ++i) {
        if (!accesses[i].present) continue;
        ++hits;
        if (!timed()) continue;
        const SlotIndex slot = slotOf(static_cast<int>(i));
        if (m_link.arrived(slot, m_now)) continue;
        ++m_counts.hitsInFlight;
        m_link.promote(slot, m_now);
    }
    const auto count = static_cast<std::int64_t>(accesses.size());
    m_counts.cache.accesses += count;
    m_counts.cache.hits += hits;
    if (!m_trace.decodes(m_trace.groups()[g])) return;
    m_counts.cache.decodeAccesses += count;
    m_counts.cache.decodeHits += hits;
}

/// Starts the near-memory workers on what is computed where it lies: as long as the run took for it, or, where the run
/// did not compute it there, as long as the costs say and the run exceeds them.
void OffloadReplay::startInPlace(std::size_t g) {
    const ComputeTimes& times = *m_timing->times;
    const auto& accesses = m_planner.accesses();
    double work = 0;
    for (std::size_t i = 0; i < accesses.size(); ++i) {
        if (!accesses[i].inPlace()) continue;
        const std::size_t at = m_trace.groups()[g].firstAccess + i;
        const double own = times.inPlace.empty() ? 0.0 : static_cast<double>(times.inPlace[at]);
        const std::int64_t costs =
            m_context.costs.inPlace.count() + (accesses[i].tokens - 1) * m_context.costs.inPlaceToken.count();
        work += own > 0 ? own : times.inPlaceFactor * static_cast<double>(costs);
    }
    m_nearEnd = work > 0 ? m_now + times.nearDispatch + static_cast<std::int64_t>(work) : m_now;
}

void OffloadReplay::waitInPlace() {
    if (m_nearEnd <= m_now) return;
    const std::int64_t until = m_nearEnd + m_timing->times->nearWake;
    m_counts.waited += until - m_now;
    m_now = until;
}

void OffloadReplay::runWaves(std::size_t g) {
    for (bool more = true; more;) {
        more = m_planner.nextWave(m_wave, m_commands);
        execute(m_commands);
        if (!timed()) {
            for (const int access : m_wave)
                m_fillings[slotOf(access).index()].open = false;
            continue;
        }
        while (!m_wave.empty()) {
            takeReady();
            compute(g);
        }
    }
}

void OffloadReplay::takeReady() {
    m_ready.clear();
    const auto collect = [&] {
        std::erase_if(m_wave, [&](int access) {
            if (!m_link.arrived(slotOf(access), m_now)) return false;
            m_ready.push_back(access);
            return true;
        });
    };
    collect();
    if (m_ready.empty()) {
        m_awaited.clear();
        for (const int access : m_wave)
            m_awaited.push_back(slotOf(access));
        const std::int64_t until = m_link.firstArrival(m_awaited, m_now) + m_timing->times->wake;
        m_counts.waited += until - m_now;
        m_now = until;
        collect();
    }
    for (const int access : m_ready)
        m_fillings[slotOf(access).index()].open = false;
}

void OffloadReplay::compute(std::size_t g) {
    const ComputeTimes& times = *m_timing->times;
    const RoutingTrace::Group& group = m_trace.groups()[g];
    m_batch.clear();
    for (const int access : m_ready)
        m_batch.push_back(times.expert[group.firstAccess + static_cast<std::uint32_t>(access)]);
    m_now += times.dispatch + static_cast<std::int64_t>(expertsTime(m_batch, group.tokens, times.workers));
}

void OffloadReplay::execute(const std::vector<SlotCommand>& commands) {
    for (const SlotCommand& command : commands) {
        if (command.victim) leave(command.slot);
        const std::int64_t whole = m_trace.expertBytes(command.expert.layer);
        const std::int64_t bytes = command.low ? lowBytes(whole) : whole;
        const bool prefetch = command.purpose == TransferPurpose::Prefetch;
        (prefetch ? m_counts.prefetchBytes : m_counts.demandBytes) += bytes;
        m_fillings[command.slot.index()] = {.bytes = bytes, .open = true, .prefetch = prefetch};
        if (timed()) m_link.submit(command.slot, bytes, !prefetch, m_now);
    }
}

/// The slot's expert leaves.
void OffloadReplay::leave(SlotIndex slot) {
    Filling& filling = m_fillings[slot.index()];
    if (!filling.open) return;
    filling.open = false;
    if (timed() && m_link.cancel(slot, m_now))
        m_counts.cancelledBytes += filling.bytes;
    else
        m_counts.wastedBytes += filling.bytes;
}

void OffloadReplay::finish() {
    for (int slot = 0; slot < m_context.shape.slots + m_context.shape.lowSlots; ++slot)
        leave(SlotIndex(slot));
    m_counts.cache.movedBytes = m_counts.demandBytes + m_counts.prefetchBytes;
    m_counts.linkBytes = timed() ? static_cast<std::int64_t>(m_link.moved()) : m_counts.cache.movedBytes;
}

}  // namespace expertscope
