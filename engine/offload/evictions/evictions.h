// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

// One function an eviction rule; policy_registry.cpp lists them.

#include "engine/offload/parameters.h"
#include "engine/offload/policy_registry.h"

namespace expertscope {

struct EvictionEntry {
    EvictionInfo info;
    std::unique_ptr<EvictionRule> (*make)(Parameters&);  ///< null for a rule that is for replay only
};

EvictionEntry lruEviction();
EvictionEntry lfuEviction();
EvictionEntry lfuInCacheEviction();
EvictionEntry lfruEviction();
EvictionEntry fifoEviction();
EvictionEntry lifoEviction();
EvictionEntry slruEviction();
EvictionEntry arcEviction();
EvictionEntry leastStaleEviction();
EvictionEntry moeInfinityEviction();
EvictionEntry beladyEviction();
EvictionEntry beladyBypassEviction();

}  // namespace expertscope
