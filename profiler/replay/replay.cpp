// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/replay/replay.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <exception>
#include <mutex>
#include <thread>

#include <fmt/format.h>

#include "engine/base/error.h"
#include "engine/offload/expert_source.h"
#include "engine/offload/policy_registry.h"
#include "profiler/replay/belady_rule.h"
#include "profiler/replay/layer_settled_cache.h"
#include "profiler/replay/offload_replay.h"
#include "profiler/replay/on_demand_replay.h"

namespace expertscope {
namespace {

std::string nameOf(const std::string& text) { return text.substr(0, text.find(':')); }
bool isBelady(const std::string& eviction) { return nameOf(eviction) == "belady"; }
bool isBypass(const std::string& eviction) { return nameOf(eviction) == "belady-bypass"; }

void take(ReplayResult& result, const CacheCounts& counts) {
    result.accesses = counts.accesses;
    result.hits = counts.hits;
    result.misses = counts.accesses - counts.hits;
    result.decodeAccesses = counts.decodeAccesses;
    result.decodeHits = counts.decodeHits;
    result.demandBytes = result.bytesMoved = counts.movedBytes;
}

}  // namespace

ReplayBench::ReplayBench(RecordedRun run) : m_run(std::move(run)), m_next(m_run.trace), m_lru(m_run.trace) {
    for (int layer = 0; layer < trace().layers(); ++layer)
        m_largest = std::max(m_largest, trace().expertBytes(LayerIndex(layer)));
    m_decodeGroups = std::ranges::count_if(trace().groups(),
                                           [this](const RoutingTrace::Group& group) { return trace().decodes(group); });
    if (m_run.times) m_residentSeconds = residentDecodeSeconds();
}

ReplayCase ReplayBench::own() const {
    const RunDescription& run = entry().description;
    ReplayCase what{.policy = run.policy, .eviction = run.eviction, .budget = run.budget, .link = {}};
    if (!run.link.empty()) what.link = parseLink(run.link);
    return what;
}

int ReplayBench::slotsFor(Bytes budget) const {
    return static_cast<int>(std::min<std::int64_t>(budget.count() / m_largest, trace().total()));
}

void ReplayBench::check(const ReplayCase& what) const {
    const auto policy = makePolicy(what.policy);
    if (what.eviction == kOwnEviction) {
        evictionUnder(what.policy, what.eviction);
    } else if (!isBelady(what.eviction) && !isBypass(what.eviction)) {
        makeEviction(what.eviction);
    } else if (what.eviction != nameOf(what.eviction)) {
        throw UsageError(fmt::format("The eviction rule '{}' takes no parameters.", nameOf(what.eviction)));
    }
    if (!policy->keepsAllResident() && slotsFor(what.budget) < 1)
        throw UsageError(fmt::format("A budget of {} holds no expert of '{}': give at least {}, the size of one.",
                                     formatBytes(what.budget), trace().model().name, formatBytes(Bytes(m_largest))));
}

ReplayResult ReplayBench::replay(const ReplayCase& asked, Settle settle, const std::atomic<bool>* stop) const {
    ReplayCase what = asked;
    what.eviction = evictionUnder(asked.policy, asked.eviction);
    const bool onDemand = nameOf(what.policy) == "on-demand";
    // A bypassing cache reserves no slot before it knows what to keep, so only the settled form of it exists.
    const bool settled = onDemand && (settle == Settle::Layer || isBypass(what.eviction));
    ReplayResult result = settled ? replaySettled(what) : replayPlanned(what, stop);
    result.what = what;
    result.settle = settled && settle == Settle::Layer ? Settle::Layer : Settle::Admit;
    result.exact = policyInfo(what.policy).exact;
    return result;
}

ReplayResult ReplayBench::replaySettled(const ReplayCase& what) const {
    ReplayResult result;
    if (isBelady(what.eviction) || isBypass(what.eviction)) {
        take(result, replayBelady(trace(), m_next, what.budget.count(),
                                  isBypass(what.eviction) ? Admission::Bypass : Admission::Forced));
        return result;
    }
    if (what.eviction == "lru") {
        const LruCurve::Counts counts = m_lru.at(what.budget.count());
        take(result, {.accesses = m_lru.accesses(),
                      .hits = counts.hits,
                      .decodeAccesses = m_lru.decodeAccesses(),
                      .decodeHits = counts.decodeHits,
                      .movedBytes = m_lru.accessBytes() - counts.hitBytes});
        return result;
    }
    const auto rule = makeEviction(what.eviction);
    take(result, replayLayerSettled(trace(), *rule, what.budget.count()));
    return result;
}

std::int64_t ReplayBench::latency(const std::optional<LinkSpec>& link) const {
    if (!link) return 0;
    const bool own = m_run.times && link->text == entry().description.link;
    return link->latency.count() + (own ? m_run.times->linkHold : 0);
}

OffloadContext ReplayBench::contextFor(const Policy& policy, const ReplayCase& what) const {
    OffloadContext context;
    context.costs = entry().description.costs;
    context.prepared = m_prepared ? &*m_prepared : nullptr;
    context.shape = {.layers = trace().layers(), .experts = trace().experts(), .topK = trace().model().topK};
    if (policy.keepsAllResident())
        context.shape.slots = trace().total();
    else
        context.shape.divide(what.budget, Bytes(m_largest), m_run.lowExpertBytes,
                             m_run.lowExpertBytes > Bytes(0) ? policy.lowPrecisionShare() : 0);
    // What a run tells as its budget are the bytes of its slots, a little less than it divided: as much less is its
    // share for copies.
    const RunDescription& own = entry().description;
    if (context.shape.lowRatio > 0 && what.policy == own.policy && what.budget == own.budget && own.slots > 0) {
        context.shape.slots = own.slots;
        context.shape.lowSlots =
            static_cast<int>((own.budget.count() - own.slots * m_largest) / m_run.lowExpertBytes.count());
    }
    return context;
}

void ReplayBench::setPrepared(PreparedData prepared) {
    prepared.requireModel(trace().model().fingerprint, trace().model().name);
    m_prepared = std::move(prepared);
}

double ReplayBench::nanosecondsPerByte(const std::optional<LinkSpec>& link) const {
    if (link) return 1e9 / link->bytesPerSecond;
    return m_run.times ? static_cast<double>(m_run.times->transfer) / static_cast<double>(m_largest) : 0;
}

double ReplayBench::prefetchPerByte(const std::optional<LinkSpec>& link) const {
    if (link || m_run.times->prefetchTransfer == 0) return nanosecondsPerByte(link);
    return static_cast<double>(m_run.times->prefetchTransfer) / static_cast<double>(m_largest);
}

ReplayResult ReplayBench::replayPlanned(const ReplayCase& what, const std::atomic<bool>* stop) const {
    ReplayResult result;
    const PolicyInfo& info = policyInfo(what.policy);
    const auto policy = makePolicy(what.policy);
    std::unique_ptr<EvictionRule> rule;
    if (isBelady(what.eviction) || isBypass(what.eviction))
        rule = std::make_unique<BeladyRule>(m_next);
    else if (what.eviction != kOwnEviction)
        rule = makeEviction(what.eviction);
    OffloadContext context = contextFor(*policy, what);
    if (info.needsCosts && !context.costs.known())
        result.missing.emplace_back("measured costs of moving and computing");
    for (const std::string& table : missingTables(what.policy, context.prepared))
        result.missing.push_back(fmt::format("prepared table '{}'", table));
    // A run under the policy itself that moved no copy had no slots for them.
    if (policy->lowPrecisionShare() > 0 && m_run.lowExpertBytes == Bytes(0) &&
        nameOf(entry().description.policy) != info.name)
        result.missing.emplace_back("the size of low-precision copies");
    if (!result.missing.empty()) return result;
    if (isBypass(what.eviction))
        result.missing.push_back(
            fmt::format("belady-bypass with '{}': it admits what it brings, so belady stands in", info.name));

    const bool timed = what.timed && m_run.times;
    if (!timed && nameOf(what.policy) == "on-demand") {
        take(result, replayOnDemand(trace(), context, *rule, stop));
        result.stopped = stop && stop->load();
        return result;
    }
    std::optional<OffloadReplay::Timing> timing;
    if (timed)
        timing = {.times = &*m_run.times,
                  .link = {.start = what.link ? 0 : m_run.times->linkStart,
                           .latency = latency(what.link),
                           .demandPerByte = nanosecondsPerByte(what.link),
                           .prefetchPerByte = prefetchPerByte(what.link),
                           .piece = what.link ? 0 : kReadPiece.count()}};
    OffloadReplay replay(trace(), context, *policy, rule.get(), timing);
    replay.endEarly({.accesses = what.atMost, .patience = what.patience, .stop = stop});
    const OffloadCounts counts = replay.run();
    take(result, counts.cache);
    result.rough = counts.ended == OffloadCounts::Ended::Early;
    result.stopped = counts.ended == OffloadCounts::Ended::Stopped;
    result.hitsInFlight = counts.hitsInFlight;
    result.hits -= counts.hitsInFlight;
    result.demandBytes = counts.demandBytes;
    result.prefetchBytes = counts.prefetchBytes;
    result.bytesMoved = counts.linkBytes;
    result.wastedBytes = counts.wastedBytes + counts.cancelledBytes;
    for (const std::string& lacking : counts.missing)
        result.missing.push_back(lacking);
    if (!timing) return result;
    result.waitMs = static_cast<double>(counts.waited) * 1e-6;
    if (counts.decodeTime > 0)
        result.decodeTokensPerSecond =
            static_cast<double>(counts.decodeSteps) * 1e9 / static_cast<double>(counts.decodeTime);
    return result;
}

/// Decoding's compute alone: what OffloadReplay makes of it when every expert is there, so that a layer is one batch.
double ReplayBench::residentDecodeSeconds() const {
    const ComputeTimes& times = *m_run.times;
    std::int64_t sum = 0;
    for (std::size_t s = 0; s < trace().steps().size(); ++s) {
        const RoutingTrace::Step& step = trace().steps()[s];
        if (step.phase != Phase::Decode) continue;
        for (std::uint32_t g = step.firstGroup; g < step.firstGroup + step.groups; ++g) {
            const RoutingTrace::Group& group = trace().groups()[g];
            const std::span<const float> experts(times.expert.data() + group.firstAccess, trace().accesses(g).size());
            sum += times.before[g] + times.after[g];
            if (!experts.empty())
                sum += times.dispatch + static_cast<std::int64_t>(expertsTime(experts, group.tokens, times.workers));
        }
        sum += times.tail[s];
    }
    return static_cast<double>(sum) * 1e-9;
}

double ReplayBench::residentTokensPerSecond() const {
    if (!(m_residentSeconds > 0)) return std::numeric_limits<double>::quiet_NaN();
    return static_cast<double>(trace().decodeTokens()) / m_residentSeconds;
}

double ReplayBench::onDemandTokensPerSecond(Bytes budget, const std::optional<LinkSpec>& link) const {
    if (!m_run.times || trace().decodeTokens() == 0) return std::numeric_limits<double>::quiet_NaN();
    const std::optional<LinkSpec> used = link ? link : own().link;
    const double perTransfer =
        static_cast<double>(latency(used)) + nanosecondsPerByte(used) * static_cast<double>(m_largest);
    const auto accesses = static_cast<double>(m_lru.decodeAccesses());
    const auto hits = static_cast<double>(m_lru.at(budget.count()).decodeHits);
    const auto layers = static_cast<double>(m_decodeGroups);
    // As if misses fell on accesses at random: a layer waits where one of its accesses misses.
    const double waits = layers * (1 - std::pow(hits / accesses, accesses / layers));
    const auto perWait = static_cast<double>(m_run.times->wake + (used ? 0 : m_run.times->linkStart));
    const double waited = ((accesses - hits) * perTransfer + waits * perWait) * 1e-9;
    return static_cast<double>(trace().decodeTokens()) / (m_residentSeconds + waited);
}

double ReplayBench::roofline(const ReplayBound& bound, const std::optional<LinkSpec>& link) const {
    if (!m_run.times || trace().decodeTokens() == 0) return std::numeric_limits<double>::quiet_NaN();
    const double moving = static_cast<double>(bound.leastDecodeBytes) * nanosecondsPerByte(link) * 1e-9;
    return static_cast<double>(trace().decodeTokens()) / std::max(m_residentSeconds, moving);
}

ReplayBound ReplayBench::bound(Bytes budget, const std::optional<LinkSpec>& link, Settle settle) const {
    ReplayBound bound;
    bound.budget = budget;
    if (link) bound.link = link->text;
    bound.beladyHitRate =
        replay({.policy = "on-demand", .eviction = "belady", .budget = budget, .link = link, .timed = false}, settle)
            .hitRate();
    bound.leastBytes = leastBytes(trace(), m_next, budget.count(), false);
    bound.leastDecodeBytes = leastBytes(trace(), m_next, budget.count(), true);
    bound.rooflineTokensPerSecond = roofline(bound, link);
    return bound;
}

std::vector<ReplayResult> ReplayBench::replayAll(const std::vector<ReplayCase>& cases, Settle settle,
                                                 int threads) const {
    std::vector<ReplayResult> results(cases.size());
    std::atomic<std::size_t> next{0};
    std::exception_ptr failure;
    std::mutex mutex;
    const auto work = [&] {
        for (std::size_t i = next++; i < cases.size(); i = next++) {
            try {
                results[i] = replay(cases[i], settle);
            } catch (...) {
                const std::lock_guard lock(mutex);
                if (!failure) failure = std::current_exception();
            }
        }
    };
    std::vector<std::jthread> others;
    for (int i = 1; i < std::min<int>(threads, static_cast<int>(cases.size())); ++i)
        others.emplace_back(work);
    work();
    others.clear();
    if (failure) std::rethrow_exception(failure);
    return results;
}

}  // namespace expertscope
