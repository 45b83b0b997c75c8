// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "engine/offload/policy.h"

namespace expertscope {

/// All experts, the most popular first by the prepared table `popularity` [L, E]; ties by layer, then by number.
std::vector<ExpertRef> byPopularity(const OffloadContext& context);

/// What placement systems have in common: some experts are on the device for the whole run, the others are computed
/// where they lie. A system places its experts in begin().
class StaticPlacement : public Policy {
public:
    void preload(std::vector<ExpertRef>& wanted) override { wanted = m_placed; }
    bool pins(ExpertRef ref) const override { return placed(ref); }
    bool computesInPlace() const override { return true; }
    void placeMisses(const RoutedLayer&, std::span<ExpertAccess> accesses) override;

protected:
    /// Places the first `count` of `order`, which names each expert once.
    void place(std::vector<ExpertRef> order, int count);
    bool placed(ExpertRef ref) const { return m_isPlaced[static_cast<std::size_t>(shape().flat(ref))] != 0; }

private:
    std::vector<ExpertRef> m_placed;
    std::vector<char> m_isPlaced;  ///< [layers · experts]
};

}  // namespace expertscope
