// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "profiler/replay/routing_trace.h"

namespace expertscope {

/// What a run's compute took, as its spans say, apart from waiting for experts: the times of a replay. Times are in
/// nanoseconds; each group (layer of a step) keeps its own, so that attention's growth with the context and a slow
/// prompt stay where they were. Where a span is missing the median of groups with as many tokens stands in.
struct ComputeTimes {
    /// Of a group: from the end of the layer before (or the step's start) to its experts' start: attention, router,
    /// predictors.
    std::vector<std::int64_t> before;
    /// Of a group: from its experts' end to the layer's end.
    std::vector<std::int64_t> after;
    /// Of an access: computing the expert for the tokens that chose it, on one worker.
    std::vector<float> expert;
    /// Of an access: computing it where it lies, as the run did; 0 where the run did not, empty where it never did.
    std::vector<float> inPlace;
    /// By how much that took longer than what was measured before the run (OffloadCosts) says.
    double inPlaceFactor = 1;
    /// What the near-memory workers need for a layer besides computing.
    std::int64_t nearDispatch = 0;
    /// From the end of their work to when the compute thread, which waited for it, goes on.
    std::int64_t nearWake = 0;
    /// Of a step: from the end of its last layer to the next token's step, or to its token's choice: head, sampling.
    std::vector<std::int64_t> tail;
    /// Handing one batch of experts to the workers and back.
    std::int64_t dispatch = 0;
    /// From the moment an expert's bytes are due to when the compute thread goes on.
    std::int64_t wake = 0;
    /// By how much a transfer held the run's own paced link longer than its bytes and latency, on average: what reading
    /// the bytes and a late timer cost.
    std::int64_t linkHold = 0;
    int workers = 1;
    /// From a transfer's issue to when the run's own link, which was idle, is at it, beyond what the next ones need:
    /// what waking its thread and a disk's first answer cost. Only where transfers were not paced.
    std::int64_t linkStart = 0;
    /// An expert's way over the link that the run had (its disk, where transfers were not paced), on average; 0 where
    /// nothing moved.
    std::int64_t transfer = 0;
    /// That of a prefetch, without the demands that interrupt it: it moves while the processors compute, and is slower.
    std::int64_t prefetchTransfer = 0;
};

/// How long a batch of experts takes, each on the worker that is free first; `experts` are the times of each.
double expertsTime(std::span<const float> experts, int tokens, int workers);

/// Gathers ComputeTimes from records in any order.
class ComputeTimesBuilder {
public:
    void add(std::span<const SpanRecord> spans);
    void add(std::span<const TransferRecord> transfers);
    /// On which the near-memory workers' spans are, where the run has such workers.
    void setNearLane(LaneId lane) { m_nearLane = lane; }
    /// Nothing where the run recorded no spans of its layers.
    std::optional<ComputeTimes> finish(const RoutingTrace& trace, const RunDescription& run);

private:
    std::vector<SpanRecord> m_spans;
    std::optional<LaneId> m_nearLane;
    /// From when the bytes were due or there to when the compute thread went on, on average, without the link's hold.
    std::int64_t wakeTime(const RunDescription& run, std::int64_t hold) const;
    std::int64_t holdTime(const RunDescription& run) const;
    void measureTransfers(const RunDescription& run, ComputeTimes& times) const;

    std::vector<TransferRecord> m_transfers;  ///< that arrived whole
    std::vector<Nanoseconds> m_cancelledAt;   ///< when the others left the link
};

}  // namespace expertscope
