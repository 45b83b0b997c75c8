// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "engine/base/run_facts.h"

namespace expertscope {

// What an expert costs for `tokens` ≥ 1 tokens of a step, by the run's measured costs.

/// On the device, its bytes there.
inline Nanoseconds computeTime(const OffloadCosts& costs, int tokens) {
    return costs.compute + costs.computeToken * (tokens - 1);
}
/// On the device, its bytes to be brought first.
inline Nanoseconds fetchTime(const OffloadCosts& costs, int tokens) {
    return costs.transfer + computeTime(costs, tokens);
}
/// Where it lies.
inline Nanoseconds inPlaceTime(const OffloadCosts& costs, int tokens) {
    return costs.inPlace + costs.inPlaceToken * (tokens - 1);
}

}  // namespace expertscope
