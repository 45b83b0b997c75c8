// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "engine/offload/policy.h"

namespace expertscope {

/// Who leaves when a slot is needed: of the candidates the one with the lowest score; of equal scores the one whose
/// admission or last use lies further back in logical order. Experts are flat indices (OffloadShape::flat).
class EvictionRule {
public:
    virtual ~EvictionRule() = default;
    virtual void begin(const OffloadShape& shape) = 0;
    /// A selection used the expert; `first` for the first use in its step and layer. `order` grows with every event.
    virtual void onUse(int expert, std::int64_t order, bool first) = 0;
    /// A slot was reserved for the expert.
    virtual void onAdmit(int expert, std::int64_t order) = 0;
    virtual double score(int expert) const = 0;
};

}  // namespace expertscope
