// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <limits>
#include <vector>

#include "profiler/analysis/trace_view.h"

namespace expertscope {

/// A stretch of steps in which an expert held a slot when its layer looked it up.
struct ResidencyInterval {
    static constexpr StepIndex kOpen{std::numeric_limits<std::int32_t>::max()};

    StepIndex from;                                                ///< first lookup that finds it
    StepIndex to = kOpen;                                          ///< first lookup that does not; kOpen while it stays
    Nanoseconds fromTime;                                          ///< admission
    Nanoseconds toTime{std::numeric_limits<std::int64_t>::max()};  ///< eviction or cancel
    ResidencyReason reason = ResidencyReason::Demand;              ///< of the admission

    bool operator==(const ResidencyInterval&) const = default;
};

/// Which expert was resident when, from the recorded admissions and evictions.
///
/// "Resident in step s" means: it owned a slot when its layer's router had chosen and the layer looked its experts up,
/// so that hits and accesses in flight (a prefetch owns its slot from issue) are exactly the lookups inside an interval
/// and misses those outside. A change made by layer c in step s therefore counts for layer m from step s on where c <
/// m, else from step s + 1. Intervals that no lookup could see (admitted and evicted in one wave) are left out. Plain
/// equivalent: replay all records up to each lookup. An update costs O(new records).
class ResidencyTimeline {
public:
    ResidencyTimeline(std::int32_t layers, std::int32_t experts);

    /// Takes in what `trace` has gained since; true when anything changed.
    bool update(const TraceView& trace);

    std::int32_t layers() const { return m_layers; }
    std::int32_t experts() const { return m_experts; }
    /// In order of time, disjoint.
    const std::vector<ResidencyInterval>& intervals(LayerIndex layer, ExpertId expert) const;
    bool residentIn(LayerIndex layer, ExpertId expert, StepIndex step) const;
    /// Number of the layer's experts resident in `step`. O(experts · log intervals).
    std::int32_t residentCount(LayerIndex layer, StepIndex step) const;
    /// The same of each of the first `steps` steps at once. O(intervals of the layer + steps).
    std::vector<std::int32_t> residentCounts(LayerIndex layer, std::int32_t steps) const;

private:
    std::size_t cell(LayerIndex layer, ExpertId expert) const {
        return layer.index() * static_cast<std::size_t>(m_experts) + expert.index();
    }
    void apply(const ResidencyRecord& record);

    std::int32_t m_layers, m_experts;
    std::size_t m_residencyRead = 0;
    std::vector<std::vector<ResidencyInterval>> m_intervals;  ///< by cell; only the last may be open
};

}  // namespace expertscope
