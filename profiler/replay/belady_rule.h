// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <vector>

#include "engine/offload/eviction.h"
#include "profiler/replay/belady.h"

namespace expertscope {

/// Belady's rule as an eviction rule that a Planner can be driven with: the expert whose next use in the trace lies
/// furthest ahead leaves. Every access admits. Must be told the uses of exactly the trace that `next` was made of.
class BeladyRule final : public EvictionRule {
public:
    explicit BeladyRule(const NextUses& next) : m_next(&next), m_future(next.places()) {}

    void begin(const OffloadContext& context) override;
    void onUse(int expert, std::int64_t order, bool first) override;
    void onAdmit(int expert, std::int64_t order) override;
    void onLeave(int expert) override;
    double score(int expert) const override { return -static_cast<double>(m_place[static_cast<std::size_t>(expert)]); }
    /// Asks from the furthest next use on; O(1) but for experts that are guarded or of another layer.
    int victim(const EvictionCandidates& candidates) const override;

private:
    const NextUses* m_next;
    FurthestSet m_future;              ///< next uses of the residents
    std::vector<std::size_t> m_place;  ///< [experts] of the next use
    std::vector<char> m_resident;      ///< [experts]
    std::size_t m_access = 0;          ///< index of the next access
};

}  // namespace expertscope
