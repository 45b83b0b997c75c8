// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "engine/base/records.h"
#include "engine/base/run_facts.h"

namespace expertscope {

class PreparedData;

/// The model and the budget as a policy sees them.
struct OffloadShape {
    int layers = 0;
    int experts = 0;  ///< routed experts a layer
    int topK = 0;
    int slots = 0;  ///< experts that fit the budget

    int flat(ExpertRef ref) const { return ref.layer.value() * experts + ref.expert.value(); }
    ExpertRef ref(int flatIndex) const { return {LayerIndex(flatIndex / experts), ExpertId(flatIndex % experts)}; }
    int total() const { return layers * experts; }
};

/// What a policy and an eviction rule are told before the run.
struct OffloadContext {
    OffloadShape shape;
    OffloadCosts costs{};
    const PreparedData* prepared = nullptr;  ///< what was collected beforehand; null: nothing
};

}  // namespace expertscope
