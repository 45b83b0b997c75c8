// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <algorithm>

#include "engine/base/records.h"
#include "engine/base/run_facts.h"

namespace expertscope {

class PreparedData;

/// The model and the budget as a policy sees them.
struct OffloadShape {
    int layers = 0;
    int experts = 0;  ///< routed experts a layer
    int topK = 0;
    int slots = 0;        ///< experts that fit the budget
    int lowSlots = 0;     ///< low-precision copies that fit beside them; their slots are numbered on from `slots`
    double lowRatio = 0;  ///< bytes of such a copy over those of an expert

    int flat(ExpertRef ref) const { return ref.layer.value() * experts + ref.expert.value(); }
    ExpertRef ref(int flatIndex) const { return {LayerIndex(flatIndex / experts), ExpertId(flatIndex % experts)}; }
    int total() const { return layers * experts; }
    /// Divides a budget of at least one expert: `lowShare` of it, as far as one expert still fits beside, holds copies
    /// of `low` bytes each.
    void divide(Bytes budget, Bytes expert, Bytes low, double lowShare) {
        const std::int64_t spare = budget.count() - expert.count();
        const auto wanted = static_cast<std::int64_t>(lowShare * static_cast<double>(budget.count()));
        const std::int64_t copies =
            lowShare > 0 ? std::min<std::int64_t>(std::min(wanted, spare) / low.count(), total()) : 0;
        lowSlots = static_cast<int>(copies);
        lowRatio = lowShare > 0 ? static_cast<double>(low.count()) / static_cast<double>(expert.count()) : 0;
        const std::int64_t full = (budget.count() - copies * low.count()) / expert.count();
        slots = static_cast<int>(std::min<std::int64_t>(full, total()));
    }
};

/// What a policy and an eviction rule are told before the run.
struct OffloadContext {
    OffloadShape shape;
    OffloadCosts costs{};
    const PreparedData* prepared = nullptr;  ///< what was collected beforehand; null: nothing
};

}  // namespace expertscope
