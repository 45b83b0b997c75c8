// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <atomic>
#include <chrono>
#include <cmath>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "engine/offload/planner.h"
#include "profiler/replay/belady.h"
#include "profiler/replay/compute_times.h"
#include "profiler/replay/replay_predictors.h"
#include "profiler/replay/simulated_link.h"

namespace expertscope {

/// What a replayed policy did. Hits in flight, fates and times are known with times only.
struct OffloadCounts {
    CacheCounts cache;  ///< hits: there or under way when the layer was routed; movedBytes: demanded and issued
    std::int64_t hitsInFlight = 0;
    std::int64_t demandBytes = 0, prefetchBytes = 0;  ///< issued
    std::int64_t wastedBytes = 0;                     ///< prefetched, arrived, never used
    std::int64_t cancelledBytes = 0;                  ///< prefetched, gone before they had arrived
    std::int64_t linkBytes = 0;                       ///< that went over the link
    std::int64_t waited = 0;                          ///< ns that the compute thread waited
    std::int64_t decodeTime = 0;                      ///< ns of all decode steps
    std::int64_t decodeSteps = 0;
    std::set<std::string> missing;  ///< what the policy asked for and the recording lacks
    enum class Ended : std::uint8_t {
        Whole,
        Early,    ///< at a limit
        Stopped,  ///< when it was told to
    } ended = Ended::Whole;
};

/// The replay's executor of a policy: drives the Planner, the Policy and the EvictionRule of the live engine over a
/// recorded routing, so that what they decide is what they would have decided live. Accesses, misses, demanded and
/// issued bytes depend on nothing else. With times a discrete-event simulation of one compute thread (with its workers)
/// and one link says how long it takes and what was in flight or late; without them bytes arrive at once.
/// O(accesses · victim search).
class OffloadReplay {
public:
    struct Timing {
        const ComputeTimes* times = nullptr;
        SimulatedLink::Pace link;
    };
    /// All references outlive the replay; `rule` may be null where the policy brings its own. Without `timing` bytes
    /// arrive at once.
    OffloadReplay(const RoutingTrace& trace, const OffloadContext& context, Policy& policy, EvictionRule* rule,
                  std::optional<Timing> timing);
    struct Limits {
        std::int64_t accesses = 0;             ///< 0: any
        std::chrono::milliseconds patience{};  ///< of the clock; 0: any
        const std::atomic<bool>* stop = nullptr;
    };
    /// Ends before the step at which a limit is reached, and counts decode steps, their times and accesses from half of
    /// the way on only; or when `stop` (may be null) becomes true.
    void endEarly(const Limits& limits) { m_limits = limits; }
    OffloadCounts run();

private:
    void runStep(std::size_t step, ReplayPredictors& predictors);
    OffloadCounts::Ended endsBefore(std::size_t step);
    void preload();
    void runGroup(std::size_t group);
    void countAccesses(std::size_t group);
    void runWaves(std::size_t group);
    /// Experts of the wave that are there; waits for one where none is. Empties `m_wave` bit by bit.
    void takeReady();
    void compute(std::size_t group);
    void startInPlace(std::size_t group);
    void waitInPlace();
    void execute(const std::vector<SlotCommand>& commands);
    void leave(SlotIndex slot);
    void finish();
    bool timed() const { return m_timing.has_value(); }
    SlotIndex slotOf(int access) const;
    /// Of the low-precision copy of an expert with so many.
    std::int64_t lowBytes(std::int64_t whole) const {
        return std::llround(m_context.shape.lowRatio * static_cast<double>(whole));
    }

    const RoutingTrace& m_trace;
    OffloadContext m_context;
    Policy& m_policy;
    std::optional<Timing> m_timing;
    Planner m_planner;
    SimulatedLink m_link;
    OffloadCounts m_counts;

    /// [slots] the prefetch that filled the slot, until its first use.
    struct Filling {
        std::int64_t bytes = 0;
        bool open = false;
        bool prefetch = false;
    };
    std::vector<Filling> m_fillings;
    std::vector<SlotCommand> m_commands;
    std::vector<SlotRelease> m_releases;
    std::vector<int> m_wave, m_ready;
    std::vector<SlotIndex> m_awaited;
    std::vector<float> m_batch;  ///< times of the ready experts
    std::int64_t m_now = 0;
    LayerIndex m_layer;
    std::int64_t m_nearEnd = 0;  ///< when the near-memory workers are done with the layer
    Limits m_limits;
    bool m_warm = false;  ///< half of the way to a limit is past
    std::chrono::steady_clock::time_point m_began;
};

}  // namespace expertscope
