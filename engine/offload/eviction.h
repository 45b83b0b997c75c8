// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <vector>

#include "engine/offload/policy.h"
#include "engine/offload/residency_view.h"

namespace expertscope {

/// Who leaves when a slot is needed: of the candidates the one with the lowest score; of equal scores the one whose
/// admission or last use lies further back in logical order. Experts are flat indices (OffloadShape::flat).
class EvictionRule {
public:
    virtual ~EvictionRule() = default;
    /// Told once; `context` outlives the rule.
    virtual void begin(const OffloadContext& context) = 0;
    virtual void beginRequest() {}
    /// A layer was routed; its uses follow.
    virtual void onLayer(const RoutedLayer&, Predictors&) {}
    /// A selection used the expert; `first` for the first use in its step and layer. `order` grows with every event.
    virtual void onUse(int expert, std::int64_t order, bool first) = 0;
    /// A slot is sought for the expert, which is absent: victim() may follow, then onAdmit() unless none was found.
    virtual void onNeed(int /*expert*/) {}
    /// A slot was reserved for the expert.
    virtual void onAdmit(int expert, std::int64_t order) = 0;
    /// The expert lost its slot.
    virtual void onLeave(int /*expert*/) {}
    virtual double score(int expert) const = 0;
    /// The candidate that leaves; −1 where there is none. This one scans, O(slots); a rule whose scores are ordered
    /// may do better, with the same result.
    virtual int victim(const EvictionCandidates& candidates) const;

    /// Whether every layer has an equal share of the slots and evicts among its own.
    bool perLayer() const { return m_perLayer; }
    void setPerLayer(bool perLayer) { m_perLayer = perLayer; }

private:
    bool m_perLayer = false;
};

/// [layers] the slots of each layer where every one has an equal share; the first ones have what does not divide.
std::vector<int> equalShares(const OffloadShape& shape);

}  // namespace expertscope
