// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <atomic>

#include "engine/offload/eviction.h"
#include "profiler/replay/belady.h"

namespace expertscope {

/// What the policy on-demand does with this rule and context, counted alone, without times. The same as OffloadReplay
/// with that policy (which prefetches, pins, places and releases nothing), at a fraction of its cost: of the Planner
/// only the waves are left. Ends between two layers when `stop` (may be null) becomes true. O(accesses · victim
/// search).
CacheCounts replayOnDemand(const RoutingTrace& trace, const OffloadContext& context, EvictionRule& rule,
                           const std::atomic<bool>* stop = nullptr);

}  // namespace expertscope
