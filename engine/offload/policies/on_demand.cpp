// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/offload/policies/policies.h"

namespace expertscope {

// The plainest policy there is: Policy's own defaults. With a cache it is what the open MoE-Infinity code does today;
// its papers' "MoE-OnDemand" keeps no cache, which is this policy at a budget of one layer's demand.
PolicyEntry onDemandPolicy() {
    return {
        {.name = "on-demand",
         .parameters = {},
         .needs = {},
         .source = "MoE-OnDemand in Pre-gated MoE (arXiv 2308.12066)",
         .summary = "Fetches an expert when a layer needs it and waits; keeps it until the eviction rule takes it."},
        [](Parameters&) { return std::make_unique<Policy>(); }};
}

}  // namespace expertscope
