// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

// One function a published system: what it is and how to make it. Each is defined in a file of its own beside this one;
// policy_registry.cpp lists them.

#include "engine/offload/parameters.h"
#include "engine/offload/policy_registry.h"

namespace expertscope {

struct PolicyEntry {
    PolicyInfo info;
    std::unique_ptr<Policy> (*make)(Parameters&);
};

PolicyEntry residentPolicy();
PolicyEntry onDemandPolicy();
PolicyEntry prefetchAllPolicy();
PolicyEntry preGatedPolicy();
PolicyEntry routeAheadPolicy();
PolicyEntry mixtralOffloadingPolicy();
PolicyEntry brainstormPolicy();
PolicyEntry fineMoePolicy();
PolicyEntry adapMoePolicy();
PolicyEntry moeInfinityPolicy();
PolicyEntry layerStreamPolicy();
PolicyEntry staticPolicy();
PolicyEntry cpuExpertsPolicy();
PolicyEntry costModelPolicy();
PolicyEntry mondePolicy();
PolicyEntry hybriMoePolicy();
PolicyEntry dropOnMissPolicy();
PolicyEntry cachePriorPolicy();
PolicyEntry buddyPolicy();
PolicyEntry swapMoePolicy();
PolicyEntry hobbitPolicy();

}  // namespace expertscope
