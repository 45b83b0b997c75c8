// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <atomic>
#include <chrono>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "engine/offload/prepared_data.h"
#include "profiler/replay/belady.h"
#include "profiler/replay/lru_curve.h"
#include "profiler/replay/recorded_run.h"

namespace expertscope {

/// When a cache returns to its budget.
enum class Settle : std::uint8_t {
    Layer,  ///< at the end of a layer's step, after a transient overflow, as published cache replays do
    Admit,  ///< before it admits, as the live engine
};

/// One combination to replay. Names as users write them, parameters included.
struct ReplayCase {
    std::string policy = "on-demand";
    std::string eviction = "lru";  ///< of no effect where the policy brings its own (evictionUnder)
    Bytes budget;
    std::optional<LinkSpec> link{};  ///< absent: the link that the run had
    bool timed = true;               ///< false: counts alone, which on-demand has many times faster
    /// Replay only until so many accesses are reached or so much time has passed (of the clock; for policies that take
    /// long), for a quick and rough answer: times and decode counts are then those of the later half, when caches are
    /// warm. 0: all.
    std::int64_t atMost = 0;
    std::chrono::milliseconds patience{0};
};

struct ReplayResult {
    ReplayCase what;
    Settle settle = Settle::Admit;  ///< what was done: policies that prefetch are always replayed at Admit
    bool exact = true;
    bool rough = false;    ///< ended early, by ReplayCase::atMost or patience
    bool stopped = false;  ///< was told to stop; what it holds is of no use
    std::int64_t accesses = 0, hits = 0, hitsInFlight = 0, misses = 0;
    std::int64_t decodeAccesses = 0, decodeHits = 0;
    std::int64_t demandBytes = 0, prefetchBytes = 0;
    std::int64_t bytesMoved = 0;                                              ///< over the link
    std::int64_t wastedBytes = 0;                                             ///< prefetched for nothing
    double decodeTokensPerSecond = std::numeric_limits<double>::quiet_NaN();  ///< NaN: no times
    double waitMs = std::numeric_limits<double>::quiet_NaN();
    std::vector<std::string> missing;  ///< what the policy would need and the session lacks
    /// Hits and hits in flight of all accesses.
    double hitRate() const {
        return accesses > 0 ? static_cast<double>(accesses - misses) / static_cast<double>(accesses) : 0;
    }
};

/// The best that any policy could do with a budget and a link.
struct ReplayBound {
    Bytes budget;
    std::string link;          ///< empty: the run's own
    double beladyHitRate = 0;  ///< of `belady` (forced admission) under the settlement that was asked for
    std::int64_t leastBytes = 0;
    std::int64_t leastDecodeBytes = 0;  ///< leastBytes() of decoding alone
    double rooflineTokensPerSecond = std::numeric_limits<double>::quiet_NaN();
};

/// Everything about one recorded run that all combinations share, computed once. Replays may run in several threads.
class ReplayBench {
public:
    explicit ReplayBench(RecordedRun run);
    ReplayBench(const ReplayBench&) = delete;
    ReplayBench& operator=(const ReplayBench&) = delete;

    const RunEntry& entry() const { return m_run.entry; }
    const RoutingTrace& trace() const { return m_run.trace; }
    const std::optional<ComputeTimes>& times() const { return m_run.times; }
    const LruCurve& lruCurve() const { return m_lru; }

    /// What policies need beforehand. Throws BadInputError when it is of another model.
    void setPrepared(PreparedData prepared);

    /// Throws UsageError for a name or parameter that does not exist, or a budget that holds no expert.
    void check(const ReplayCase& what) const;
    /// Returns early, with `stopped`, when `stop` (may be null) becomes true. The result names the eviction in force.
    ReplayResult replay(const ReplayCase& asked, Settle settle, const std::atomic<bool>* stop = nullptr) const;
    ReplayBound bound(Bytes budget, const std::optional<LinkSpec>& link, Settle settle) const;
    /// The bound's roofline over another link, at once: its bytes do not depend on the link.
    double roofline(const ReplayBound& bound, const std::optional<LinkSpec>& link) const;
    /// Decoding when every expert is there; NaN without times or where nothing was decoded. O(1).
    double residentTokensPerSecond() const;
    /// Decoding under on-demand and a global LRU cache as the stack distances tell it, at once (O(log n)): a layer that
    /// misses waits for each missing expert's transfer and once to be woken, and nothing overlaps. NaN without times.
    double onDemandTokensPerSecond(Bytes budget, const std::optional<LinkSpec>& link) const;
    /// All cases, shared out over `threads`, in the order given.
    std::vector<ReplayResult> replayAll(const std::vector<ReplayCase>& cases, Settle settle, int threads) const;

    /// The run's own combination: what a replay can be checked against.
    ReplayCase own() const;

private:
    ReplayResult replaySettled(const ReplayCase& what) const;
    ReplayResult replayPlanned(const ReplayCase& what, const std::atomic<bool>* stop) const;
    /// Experts of the largest size that fit, as slots of the live engine.
    int slotsFor(Bytes budget) const;
    std::int64_t latency(const std::optional<LinkSpec>& link) const;
    double nanosecondsPerByte(const std::optional<LinkSpec>& link) const;
    double prefetchPerByte(const std::optional<LinkSpec>& link) const;
    double residentDecodeSeconds() const;

    OffloadContext contextFor(const Policy& policy, const ReplayCase& what) const;

    RecordedRun m_run;
    std::optional<PreparedData> m_prepared;
    NextUses m_next;
    LruCurve m_lru;
    std::int64_t m_largest = 1;       ///< bytes of the largest expert; 1 where a recording says none
    std::int64_t m_decodeGroups = 0;  ///< layers of decode steps
    double m_residentSeconds = std::numeric_limits<double>::quiet_NaN();
};

}  // namespace expertscope
