// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

// One function an eviction rule; policy_registry.cpp lists them.

#include "engine/offload/parameters.h"
#include "engine/offload/policy_registry.h"

namespace expertscope {

struct EvictionEntry {
    EvictionInfo info;
    std::unique_ptr<EvictionRule> (*make)(Parameters&);
};

EvictionEntry lruEviction();
EvictionEntry lfuEviction();

}  // namespace expertscope
