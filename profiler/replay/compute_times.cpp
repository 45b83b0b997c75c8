// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/replay/compute_times.h"

#include <algorithm>
#include <array>
#include <map>

namespace expertscope {
namespace {

constexpr std::int64_t kUnknown = -1;

std::int64_t median(std::vector<std::int64_t>& values) {
    if (values.empty()) return kUnknown;
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::ranges::nth_element(values, middle);
    return *middle;
}

/// What is added up and counted.
struct Mean {
    std::int64_t sum = 0, count = 0;
    void add(std::int64_t value) {
        sum += value;
        ++count;
    }
    /// 0 where nothing was added.
    std::int64_t value() const { return count > 0 ? sum / count : 0; }
};

/// What the spans say of one group.
struct GroupSpans {
    std::int64_t layerStart = kUnknown, layerEnd = kUnknown;
    std::int64_t expertsStart = kUnknown, expertsEnd = kUnknown;
    std::int64_t waited = 0;
    std::int64_t batches = 1;
    // Of the near-memory workers, and the compute thread's last wait, which is for them where they work.
    std::int64_t nearEnd = kUnknown, nearWorked = 0;
    std::int64_t lastWaitStart = kUnknown, lastWaitEnd = kUnknown;
};
struct StepSpans {
    std::int64_t start = kUnknown, end = kUnknown, sampled = kUnknown;
};

/// Spans sorted into the groups and steps of the trace.
class Sorting {
public:
    Sorting(const RoutingTrace& trace, std::optional<LaneId> nearLane)
        : m_trace(trace), m_nearLane(nearLane), m_groups(trace.groups().size()), m_steps(trace.steps().size()) {}

    void take(const SpanRecord& span, ComputeTimes& times);
    std::vector<GroupSpans>& groups() { return m_groups; }
    std::vector<StepSpans>& steps() { return m_steps; }

private:
    std::int64_t stepAt(StepIndex step);
    std::int64_t groupAt(std::int64_t step, LayerIndex layer) const;

    const RoutingTrace& m_trace;
    std::optional<LaneId> m_nearLane;
    std::vector<GroupSpans> m_groups;
    std::vector<StepSpans> m_steps;
    std::size_t m_near = 0;  ///< step of the last span: the next one's is seldom far
};

std::int64_t Sorting::stepAt(StepIndex step) {
    const auto& steps = m_trace.steps();
    if (m_near < steps.size() && steps[m_near].index == step) return static_cast<std::int64_t>(m_near);
    const auto found = std::ranges::lower_bound(steps, step, {}, &RoutingTrace::Step::index);
    if (found == steps.end() || found->index != step) return -1;
    m_near = static_cast<std::size_t>(found - steps.begin());
    return static_cast<std::int64_t>(m_near);
}

std::int64_t Sorting::groupAt(std::int64_t step, LayerIndex layer) const {
    const RoutingTrace::Step& s = m_trace.steps()[static_cast<std::size_t>(step)];
    for (std::uint32_t i = 0; i < s.groups; ++i) {
        // Layers are usually all there, so that the layer's number is its place.
        const std::uint32_t g = s.firstGroup + (static_cast<std::uint32_t>(layer.value()) + i) % s.groups;
        if (m_trace.groups()[g].layer == layer) return g;
    }
    return -1;
}

void Sorting::take(const SpanRecord& span, ComputeTimes& times) {
    const std::int64_t step = stepAt(span.step);
    if (step < 0) return;
    StepSpans& s = m_steps[static_cast<std::size_t>(step)];
    const std::int64_t start = span.start.count(), end = span.end.count();
    if (span.kind == SpanKind::Step) {
        s.start = start;
        s.end = end;
        return;
    }
    if (span.kind == SpanKind::Sample) {
        s.sampled = end;
        return;
    }
    const std::int64_t at = groupAt(step, span.layer);
    if (at < 0) return;
    GroupSpans& group = m_groups[static_cast<std::size_t>(at)];
    if (span.kind == SpanKind::Layer) {
        group.layerStart = start;
        group.layerEnd = end;
    } else if (span.kind == SpanKind::Experts) {
        group.expertsStart = start;
        group.expertsEnd = end;
    } else if (span.kind == SpanKind::Wait) {
        group.waited += end - start;
        ++group.batches;
        if (end > group.lastWaitEnd) {
            group.lastWaitStart = start;
            group.lastWaitEnd = end;
        }
    } else if (span.kind == SpanKind::ExpertCompute) {
        const auto accesses = m_trace.accesses(static_cast<std::size_t>(at));
        const std::int32_t flat = span.layer.value() * m_trace.experts() + span.expert.value();
        const auto found = std::ranges::find(accesses, flat);
        if (found == accesses.end()) return;
        const std::size_t access = m_trace.groups()[static_cast<std::size_t>(at)].firstAccess +
                                   static_cast<std::size_t>(found - accesses.begin());
        if (span.lane != m_nearLane) {
            times.expert[access] += static_cast<float>(end - start);
            return;
        }
        if (times.inPlace.empty()) times.inPlace.assign(times.expert.size(), 0.0F);
        times.inPlace[access] += static_cast<float>(end - start);
        group.nearWorked += end - start;
        group.nearEnd = std::max(group.nearEnd, end);
    }
}

/// Puts the median of those with the same number of tokens where a time is unknown; false where nothing is known.
template <class TokensOf>
bool fillGaps(std::vector<std::int64_t>& times, const TokensOf& tokensOf) {
    std::map<std::int32_t, std::vector<std::int64_t>> known;
    std::vector<std::int64_t> all;
    for (std::size_t i = 0; i < times.size(); ++i) {
        if (times[i] < 0) continue;
        known[tokensOf(i)].push_back(times[i]);
        all.push_back(times[i]);
    }
    if (all.empty()) return false;
    if (all.size() == times.size()) return true;
    const std::int64_t overall = median(all);
    std::map<std::int32_t, std::int64_t> medians;
    for (auto& [tokens, values] : known)
        medians[tokens] = median(values);
    for (std::size_t i = 0; i < times.size(); ++i) {
        if (times[i] >= 0) continue;
        const auto found = medians.find(tokensOf(i));
        times[i] = found == medians.end() ? overall : found->second;
    }
    return true;
}

void fillExpertGaps(std::vector<float>& times) {
    std::vector<std::int64_t> known;
    for (const float time : times)
        if (time > 0) known.push_back(static_cast<std::int64_t>(time));
    const auto typical = static_cast<float>(std::max<std::int64_t>(median(known), 0));
    for (float& time : times)
        if (time <= 0) time = typical;
}

/// The end of what the compute thread did before the group: the layer before, or the step's start.
std::int64_t endBefore(const RoutingTrace& trace, Sorting& sorting, std::size_t g) {
    const RoutingTrace::Group& group = trace.groups()[g];
    const auto step = static_cast<std::size_t>(group.step);
    if (trace.steps()[step].firstGroup == g) return sorting.steps()[step].start;
    return sorting.groups()[g - 1].layerEnd;
}

std::int64_t difference(std::int64_t from, std::int64_t to) { return from < 0 || to < from ? kUnknown : to - from; }

/// From a step's last layer to the start of the next one of the same request, or to the choice of its token.
std::int64_t tailOf(const RoutingTrace& trace, Sorting& sorting, std::size_t step) {
    const RoutingTrace::Step& here = trace.steps()[step];
    const std::int64_t end = sorting.groups()[here.firstGroup + here.groups - 1].layerEnd;
    const bool last = step + 1 == trace.steps().size() || trace.steps()[step + 1].request != here.request;
    return difference(end, last ? sorting.steps()[step].sampled : sorting.steps()[step + 1].start);
}

}  // namespace

double expertsTime(std::span<const float> experts, int tokens, int workers) {
    std::array<double, 64> busy{};
    const auto used = std::span(busy).first(static_cast<std::size_t>(std::clamp(workers, 1, 64)));
    double total = 0;
    for (const float time : experts) {
        total += static_cast<double>(time);
        *std::ranges::min_element(used) += static_cast<double>(time);
    }
    // A prompt's experts are cut into blocks of tokens, so that their work divides evenly.
    return tokens > 1 ? total / static_cast<double>(used.size()) : std::ranges::max(used);
}

void ComputeTimesBuilder::add(std::span<const SpanRecord> spans) {
    for (const SpanRecord& span : spans) {
        switch (span.kind) {
            case SpanKind::Step:
            case SpanKind::Sample:
            case SpanKind::Layer:
            case SpanKind::Experts:
            case SpanKind::Wait:
            case SpanKind::ExpertCompute:
                m_spans.push_back(span);
                break;
            default:
                break;
        }
    }
}

void ComputeTimesBuilder::add(std::span<const TransferRecord> transfers) {
    for (const TransferRecord& transfer : transfers) {
        if (transfer.finished <= transfer.started || transfer.purpose == TransferPurpose::Preload) continue;
        if (transfer.moved == transfer.bytes)
            m_transfers.push_back(transfer);
        else
            m_cancelledAt.push_back(transfer.finished);
    }
}

std::int64_t ComputeTimesBuilder::wakeTime(const RunDescription& run, std::int64_t hold) const {
    Mean woken;
    for (const SpanRecord& wait : m_spans) {
        if (wait.kind != SpanKind::Wait) continue;
        // The last arrival within the wait is what ended it.
        const auto after = std::ranges::upper_bound(m_transfers, wait.end, {}, &TransferRecord::finished);
        if (after == m_transfers.begin() || std::prev(after)->finished < wait.start) continue;
        woken.add((wait.end - std::prev(after)->finished).count());
    }
    std::int64_t late = 0;
    if (!run.link.empty()) {
        const LinkSpec link = parseLink(run.link);
        Nanoseconds before;
        for (const TransferRecord& transfer : m_transfers) {
            // Only where the link was idle is it known when the bytes were due.
            if (transfer.purpose == TransferPurpose::Demand && before < transfer.issued)
                late += (transfer.finished - transfer.issued - link.duration(transfer.bytes)).count() - hold;
            before = transfer.finished;
        }
    }
    return woken.count > 0 ? (woken.sum + std::max<std::int64_t>(late, 0)) / woken.count : 0;
}

std::int64_t ComputeTimesBuilder::holdTime(const RunDescription& run) const {
    if (run.link.empty()) return 0;
    const LinkSpec link = parseLink(run.link);
    std::int64_t held = 0, count = 0;
    for (std::size_t i = 1; i < m_transfers.size(); ++i) {
        const TransferRecord& before = m_transfers[i - 1];
        const TransferRecord& transfer = m_transfers[i];
        // Of transfers that had to wait for the one before; what was interrupted, by the one that finished before it,
        // says nothing.
        if (transfer.issued >= before.finished || transfer.started < before.finished) continue;
        const std::int64_t ideal = link.duration(transfer.bytes).count();
        // Between the two the link did its own work, or carried part of one that was cancelled.
        const auto cancelled = std::ranges::lower_bound(m_cancelledAt, before.finished);
        const bool carried = cancelled != m_cancelledAt.end() && *cancelled <= transfer.started;
        held += (transfer.finished - (carried ? transfer.started : before.finished)).count() - ideal;
        ++count;
    }
    return count > 0 ? std::max<std::int64_t>(held / count, 0) : 0;
}

void ComputeTimesBuilder::measureTransfers(const RunDescription& run, ComputeTimes& times) const {
    Mean demands, prefetches, loneDemands, lonePrefetches, idleDemands;
    for (std::size_t i = 0; i < m_transfers.size(); ++i) {
        const TransferRecord& transfer = m_transfers[i];
        const bool prefetch = transfer.purpose == TransferPurpose::Prefetch;
        // What was interrupted, by the one that finished before it, says nothing.
        const bool interrupted = i > 0 && transfer.started < m_transfers[i - 1].finished;
        if (interrupted) continue;
        (prefetch ? lonePrefetches : loneDemands).add((transfer.finished - transfer.started).count());
        const auto cancelled = std::ranges::lower_bound(m_cancelledAt, transfer.issued);
        const bool carried = cancelled != m_cancelledAt.end() && *cancelled <= transfer.started;
        if (!prefetch && !carried && i > 0 && transfer.issued > m_transfers[i - 1].finished)
            idleDemands.add((transfer.finished - transfer.issued).count());
        // Where it waited for the one before, the link's own work between the two is part of its time, too.
        if (i == 0 || transfer.issued > m_transfers[i - 1].finished) continue;
        (prefetch ? prefetches : demands).add((transfer.finished - m_transfers[i - 1].finished).count());
    }
    const auto mean = [](const Mean& following, const Mean& lone) {
        return following.count > 0 ? following.value() : lone.value();
    };
    times.transfer = mean(demands, loneDemands);
    times.prefetchTransfer = mean(prefetches, lonePrefetches);
    if (times.transfer == 0) times.transfer = times.prefetchTransfer;
    if (times.prefetchTransfer == 0) times.prefetchTransfer = times.transfer;
    if (run.link.empty() && idleDemands.count > 0)
        times.linkStart = std::max<std::int64_t>(idleDemands.value() - times.transfer, 0);
}

namespace {

/// What the near-memory workers needed, from the groups of decode steps in which they worked.
void measureNearMemory(const RoutingTrace& trace, Sorting& sorting, const OffloadCosts& costs, ComputeTimes& times) {
    if (times.inPlace.empty()) return;
    Mean dispatch, woken;
    std::int64_t accesses = 0;
    double worked = 0;
    for (std::size_t g = 0; g < trace.groups().size(); ++g) {
        const GroupSpans& group = sorting.groups()[g];
        if (group.nearWorked == 0 || group.expertsStart < 0 || !trace.decodes(trace.groups()[g])) continue;
        dispatch.add(std::max<std::int64_t>(group.nearEnd - group.expertsStart - group.nearWorked, 0));
        if (group.lastWaitStart < group.nearEnd && group.nearEnd <= group.lastWaitEnd)
            woken.add(group.lastWaitEnd - group.nearEnd);
        worked += static_cast<double>(group.nearWorked);
        const auto first = times.inPlace.begin() + trace.groups()[g].firstAccess;
        accesses += std::count_if(first, first + static_cast<std::ptrdiff_t>(trace.accesses(g).size()),
                                  [](float time) { return time > 0; });
    }
    times.nearDispatch = dispatch.value();
    times.nearWake = woken.value();
    const double expected = static_cast<double>(accesses) * static_cast<double>(costs.inPlace.count());
    if (expected > 0) times.inPlaceFactor = worked / expected;
}

}  // namespace

std::optional<ComputeTimes> ComputeTimesBuilder::finish(const RoutingTrace& trace, const RunDescription& run) {
    ComputeTimes times;
    times.workers = std::max(run.threads, 1);
    times.expert.assign(trace.accesses().size(), 0.0F);
    Sorting sorting(trace, m_nearLane);
    for (const SpanRecord& span : m_spans)
        sorting.take(span, times);
    std::ranges::sort(m_transfers, {}, &TransferRecord::finished);
    std::ranges::sort(m_cancelledAt);
    times.linkHold = holdTime(run);
    times.wake = wakeTime(run, times.linkHold);
    m_spans = {};

    std::int64_t dispatch = 0, batches = 0;
    for (std::size_t g = 0; g < trace.groups().size(); ++g) {
        const GroupSpans& group = sorting.groups()[g];
        times.before.push_back(difference(endBefore(trace, sorting, g), group.expertsStart));
        times.after.push_back(difference(group.expertsEnd, group.layerEnd));
        if (group.expertsStart < 0 || !trace.decodes(trace.groups()[g])) continue;
        const std::span<const float> experts(times.expert.data() + trace.groups()[g].firstAccess,
                                             trace.accesses(g).size());
        const auto ideal = static_cast<std::int64_t>(expertsTime(experts, 1, times.workers));
        if (group.nearWorked > 0 && ideal == 0) continue;  // all of it was computed in place
        dispatch += std::max<std::int64_t>(group.expertsEnd - group.expertsStart - group.waited - ideal, 0);
        batches += group.batches - (group.nearWorked > 0 ? 1 : 0);
    }
    for (std::size_t step = 0; step < trace.steps().size(); ++step)
        times.tail.push_back(tailOf(trace, sorting, step));
    const auto groupTokens = [&](std::size_t g) { return trace.groups()[g].tokens; };
    const auto stepTokens = [&](std::size_t s) { return trace.steps()[s].tokens; };
    if (!fillGaps(times.before, groupTokens) || !fillGaps(times.after, groupTokens)) return std::nullopt;
    if (!fillGaps(times.tail, stepTokens)) return std::nullopt;
    fillExpertGaps(times.expert);
    measureNearMemory(trace, sorting, run.costs, times);
    times.dispatch = batches > 0 ? dispatch / batches : 0;
    measureTransfers(run, times);
    return times;
}

}  // namespace expertscope
