// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "engine/offload/eviction.h"
#include "profiler/replay/belady.h"

namespace expertscope {

/// Runs the trace through a cache with this eviction rule that is settled at the end of each layer's step: every miss
/// is admitted, which may exceed the budget for a moment, and then the experts with the lowest scores leave until the
/// budget holds, never one of that step. It is what published cache replays do; the live engine reserves a slot before
/// it admits (Planner). A rule with scope=layer gives every layer an equal share of the bytes. The rule is told a
/// shape with as many slots as experts of mean size fit the budget.
CacheCounts replayLayerSettled(const RoutingTrace& trace, EvictionRule& rule, std::int64_t budgetBytes);

}  // namespace expertscope
