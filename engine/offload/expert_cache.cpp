// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/offload/expert_cache.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "engine/base/annotation.h"
#include "engine/base/error.h"
#include "engine/offload/pre_gate_table.h"
#include "engine/offload/prepared_data.h"

namespace expertscope {
namespace {

OffloadShape shapeFor(const Checkpoint& checkpoint, const ExpertCacheOptions& options, const Policy& policy) {
    const ModelConfig& config = checkpoint.config();
    OffloadShape shape{.layers = config.layers, .experts = config.experts, .topK = config.topK};
    if (policy.keepsAllResident()) {
        shape.slots = shape.total();
        return shape;
    }
    const Bytes budget = options.budget.of(checkpoint.totalExpertBytes());
    if (budget < checkpoint.expertBytes())
        throw UsageError(fmt::format("A budget of {} holds no expert of '{}': give at least {}, the size of one.",
                                     formatBytes(budget), checkpoint.name(), formatBytes(checkpoint.expertBytes())));
    shape.divide(budget, checkpoint.expertBytes(), LowPrecisionCopies::bytesOf(config), policy.lowPrecisionShare());
    return shape;
}

/// What was collected beforehand, once it is known to be of this model and to hold what the policy needs.
const PreparedData* checkedPrepared(const Checkpoint& checkpoint, const ExpertCacheOptions& options) {
    if (options.prepared) options.prepared->requireModel(checkpoint.facts().fingerprint, checkpoint.name());
    const auto missing = missingTables(options.policy, options.prepared);
    if (!missing.empty())
        throw UsageError(fmt::format(
            "Policy '{}' needs the prepared table '{}': collect it with 'expertscope prepare' and give --prepared.",
            options.policy, fmt::join(missing, "', '")));
    return options.prepared;
}

}  // namespace

ExpertCache::ExpertCache(const Checkpoint& checkpoint, const ExpertCacheOptions& options, Observer& observer)
    : m_policyInfo(policyInfo(options.policy)),
      m_store(checkpoint, options.io),
      m_policy(makePolicy(options.policy)),
      m_eviction(evictionUnder(options.policy, options.eviction) == kOwnEviction ? nullptr
                                                                                 : makeEviction(options.eviction)),
      m_context{.shape = shapeFor(checkpoint, options, *m_policy),
                .costs = options.costs,
                .prepared = checkedPrepared(checkpoint, options)},
      m_planner(m_context, *m_policy, m_eviction.get()),
      m_arena(shape().slots, m_store.slotBytes()),
      m_low(shape().lowSlots > 0 ? std::make_unique<LowTier>(checkpoint, shape().lowSlots) : nullptr),
      m_countsRouting(options.countRouting && !m_policyInfo.exact),
      m_record(options.record),
      m_observer(&observer),
      m_fillings(static_cast<std::size_t>(shape().slots + shape().lowSlots)),
      m_queue(tiers(), options.link, options.record, observer, kLinkLane) {
    requirePreGates(checkpoint);
    const auto experts = static_cast<std::size_t>(shape().experts);
    m_outcomes.reserve(experts);
    m_wave.reserve(experts);
    m_ready.reserve(experts);
    m_awaited.reserve(experts);
    m_commands.reserve(static_cast<std::size_t>(shape().total()));
    m_releases.reserve(experts);
}

/// Throws where the policy routes by pre-gates that neither the checkpoint nor the prepared data have.
void ExpertCache::requirePreGates(const Checkpoint& checkpoint) const {
    const PreparedData* const data = prepared();
    for (int layer = 0; layer < shape().layers; ++layer) {
        const RoutingSource source = routing(LayerIndex(layer));
        if (source.kind != RoutingSource::Kind::PreGate) continue;
        const bool own = source.ahead == 1 && checkpoint.config().preGates;
        if (own || (data && data->find(preGateTable(source.ahead, LayerIndex(layer - source.ahead))))) continue;
        throw UsageError(
            fmt::format("Policy '{}' needs a pre-gate for layer {} from {} layer{} before, and '{}' has "
                        "none: fit pre-gates with 'expertscope prepare --for pre-gated' and give the file "
                        "with --prepared, or choose another policy.",
                        m_policyInfo.name, layer, source.ahead, source.ahead == 1 ? "" : "s", checkpoint.name()));
    }
}

std::vector<SlotTier> ExpertCache::tiers() const {
    std::vector<SlotTier> tiers{{&m_store, &m_arena, shape().slots}};
    if (m_low) tiers.push_back({&m_low->copies, &m_low->arena, shape().lowSlots});
    return tiers;
}

void ExpertCache::start() {
    m_observer->onLane({kLinkLane, LaneRole::Transfer, "link"});
    if (m_store.directRefused())
        m_observer->onDiagnostic({.time = sessionNow(),
                                  .name = "direct_io_refused",
                                  .severity = Severity::Warning,
                                  .sentence = "The file system refuses direct reads: expert bytes are read through the "
                                              "page cache and dropped from it afterwards, so transfers may be faster "
                                              "than the disk."});
    for (const std::string& table : m_policyInfo.startsFrom)
        if (m_policy->usesPrepared() && !(m_context.prepared && m_context.prepared->find(table)))
            m_observer->onDiagnostic(
                {.time = sessionNow(),
                 .name = "cold_start",
                 .severity = Severity::Info,
                 .sentence = fmt::format("Policy '{}' starts without '{}', which it gathers as it runs: 'expertscope "
                                         "prepare' collects it beforehand, for --prepared.",
                                         m_policyInfo.name, table)});
    m_step = StepIndex(-1);
    m_layer = LayerIndex(-1);
    m_arena.populate();
    if (m_low) m_low->arena.populate();
    m_planner.preload(m_commands);
    if (m_commands.empty()) return;
    execute(m_commands);
    m_queue.drain();
    m_preloaded = m_queue.moved();
    for (Filling& filling : m_fillings) {
        if (!filling.open) continue;
        m_queue.describe(filling.record.slot, filling.record);
        settle(filling.record, TransferFate::Used);
        filling.open = false;
    }
}

void ExpertCache::beginLayer(const RoutedLayer& routed, Predictors& predictors) {
    m_step = routed.step;
    m_layer = routed.layer;
    m_planner.beginLayer(routed, predictors);
    m_outcomes.clear();
    for (const ExpertAccess& access : m_planner.accesses()) {
        Outcome outcome = Outcome::Miss;
        if (access.present) {
            const SlotIndex slot = m_planner.slotOf(access);
            outcome = m_queue.arrived(slot) ? Outcome::Hit : Outcome::InFlight;
            if (outcome == Outcome::InFlight) m_queue.promote(slot);
            m_fillings[slot.index()].firstFound = outcome;
        }
        m_outcomes.push_back(outcome);
        ++m_counts.accesses;
        ++(outcome == Outcome::Hit    ? m_counts.hits
           : outcome == Outcome::Miss ? m_counts.misses
                                      : m_counts.hitsInFlight);
    }
    tellWanted(routed);
}

/// What the policy wants by a predictor of its own (those of the checkpoint tell theirs themselves).
void ExpertCache::tellWanted(const RoutedLayer& routed) {
    if (!m_record.predictions || !m_policy->predictsItself() || m_planner.wanted().empty()) return;
    m_told.clear();
    for (const WantedExpert& wanted : m_planner.wanted())
        m_told.push_back({.step = routed.step,
                          .token = routed.firstToken,
                          .fromLayer = routed.layer,
                          .targetLayer = wanted.expert.layer,
                          .expert = wanted.expert.expert,
                          .rank = static_cast<std::int32_t>(m_told.size()),
                          .score = wanted.score,
                          .predictor = PredictorKind::Policy});
    m_observer->onPredictions(m_told);
}

bool ExpertCache::nextWave() {
    const bool more = m_planner.nextWave(m_wave, m_commands);
    execute(m_commands);
    return more;
}

std::span<const ReadyExpert> ExpertCache::takeReady() {
    m_ready.clear();
    if (m_wave.empty()) return {};
    const auto slotOf = [&](int access) { return m_planner.slotOf(accesses()[static_cast<std::size_t>(access)]); };
    const auto collect = [&] {
        std::erase_if(m_wave, [&](int access) {
            const SlotIndex slot = slotOf(access);
            if (!m_queue.arrived(slot)) return false;
            const ExpertAccess& ready = accesses()[static_cast<std::size_t>(access)];
            if (ready.low)
                m_ready.push_back(
                    {access, ready.expert, {}, m_low->arena.slot(SlotIndex(slot.value() - shape().slots))});
            else
                m_ready.push_back({access, ready.expert, m_store.weights({m_layer, ready.expert}, m_arena.slot(slot))});
            return true;
        });
    };
    collect();
    if (m_ready.empty()) {
        m_awaited.clear();
        for (const int access : m_wave)
            m_awaited.push_back(slotOf(access));
        SpanAnnotation waiting({.start = sessionNow(),
                                .end = {},
                                .step = m_step,
                                .layer = m_layer,
                                .lane = LaneId(0),
                                .kind = SpanKind::Wait});
        m_queue.waitForAny(m_awaited);
        const Nanoseconds ended = sessionNow();
        m_waited += ended - waiting.start();
        collect();
        waiting.span().expert = m_ready.front().expert;
        waiting.end(ended, m_record.spans ? m_observer : nullptr);
    }
    for (const ReadyExpert& ready : m_ready) {
        Filling& filling = m_fillings[slotOf(ready.access).index()];
        if (!filling.open) continue;
        filling.open = false;
        m_queue.describe(filling.record.slot, filling.record);
        filling.record.usedStep = m_step;
        const bool prefetched = filling.record.purpose == TransferPurpose::Prefetch;
        settle(filling.record, !prefetched                               ? TransferFate::Used
                               : filling.firstFound == Outcome::InFlight ? TransferFate::Late
                                                                         : TransferFate::Useful);
    }
    return m_ready;
}

void ExpertCache::endLayer() {
    m_planner.endLayer(m_releases, m_commands);
    release(m_releases);
    execute(m_commands);
}

void ExpertCache::execute(const std::vector<SlotCommand>& commands) {
    for (const SlotCommand& command : commands) {
        if (command.victim)
            leave(*command.victim, command.expert, command.slot,
                  command.purpose == TransferPurpose::Prefetch ? ResidencyReason::Prefetch : ResidencyReason::Demand,
                  command.victimScore);
        const Nanoseconds now = sessionNow();
        const auto reason = command.purpose == TransferPurpose::Demand    ? ResidencyReason::Demand
                            : command.purpose == TransferPurpose::Preload ? ResidencyReason::Preload
                                                                          : ResidencyReason::Prefetch;
        tell({.time = now,
              .step = m_step,
              .layer = m_layer,
              .subject = command.expert,
              .cause = command.expert,
              .slot = command.slot,
              .change = ResidencyChange::Admit,
              .reason = reason});
        Filling& filling = m_fillings[command.slot.index()];
        filling = {};
        filling.open = true;
        filling.record.id = m_nextTransfer++;
        filling.record.expert = command.expert;
        filling.record.slot = command.slot;
        filling.record.bytes = command.low ? m_low->copies.expertBytes() : m_store.expertBytes();
        filling.record.issued = now;
        filling.record.issuedStep = m_step;
        filling.record.issuedLayer = m_layer;
        filling.record.purpose = command.purpose;
        if (command.purpose == TransferPurpose::Demand) m_counts.demand += filling.record.bytes;
        if (command.purpose == TransferPurpose::Prefetch) m_counts.prefetch += filling.record.bytes;
        m_queue.submit(filling.record);
    }
    m_peak = std::max(m_peak, bytesOf(m_planner.residency().occupied(), m_planner.lowOccupied()));
}

void ExpertCache::release(const std::vector<SlotRelease>& releases) {
    for (const SlotRelease& release : releases)
        leave(release.expert, release.expert, release.slot, ResidencyReason::Released, release.score);
}

/// `victim` loses its slot.
void ExpertCache::leave(ExpertRef victim, ExpertRef cause, SlotIndex slot, ResidencyReason reason, double score) {
    Filling& filling = m_fillings[slot.index()];
    bool cancelled = false;
    if (filling.open) {
        filling.open = false;
        cancelled = m_queue.cancel(slot);
        if (cancelled) {
            m_counts.cancelled += filling.record.bytes;
        } else {
            m_queue.describe(slot, filling.record);
            settle(filling.record, TransferFate::Wasted);
        }
    }
    tell({.time = sessionNow(),
          .step = m_step,
          .layer = m_layer,
          .subject = victim,
          .cause = cause,
          .slot = slot,
          .change = cancelled ? ResidencyChange::Cancel : ResidencyChange::Evict,
          .reason = reason,
          .score = score});
}

void ExpertCache::settle(TransferRecord& record, TransferFate fate) {
    record.fate = fate;
    if (fate == TransferFate::Useful) m_counts.useful += record.bytes;
    if (fate == TransferFate::Late) m_counts.late += record.bytes;
    if (fate == TransferFate::Wasted) m_counts.wasted += record.bytes;
    if (m_record.routing) m_observer->onTransfer(record);
}

void ExpertCache::finish() {
    for (Filling& filling : m_fillings) {
        if (!filling.open) continue;
        filling.open = false;
        if (m_queue.cancel(filling.record.slot)) {
            m_counts.cancelled += filling.record.bytes;
        } else {
            m_queue.describe(filling.record.slot, filling.record);
            settle(filling.record, TransferFate::Wasted);
        }
    }
    m_queue.drain();
}

void ExpertCache::summarize(RunSummary& summary) const {
    summary.accesses = m_counts.accesses;
    summary.hits = m_counts.hits;
    summary.hitsInFlight = m_counts.hitsInFlight;
    summary.misses = m_counts.misses;
    summary.demand = m_counts.demand;
    summary.prefetch = m_counts.prefetch;
    summary.useful = m_counts.useful;
    summary.late = m_counts.late;
    summary.wasted = m_counts.wasted;
    summary.cancelled = m_counts.cancelled;
    summary.moved = m_queue.moved() - m_preloaded;
    summary.peakDevice = m_peak;
}

}  // namespace expertscope
