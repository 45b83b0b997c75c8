// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/offload/eviction.h"

#include <utility>

namespace expertscope {

std::unique_ptr<EvictionRule> Policy::makeEviction() const { return nullptr; }
std::unique_ptr<EvictionRule> Policy::makeLowEviction() const { return nullptr; }

int EvictionRule::victim(const EvictionCandidates& candidates) const {
    int best = -1;
    std::pair<double, std::int64_t> bestKey;
    for (const int expert : candidates.owners()) {
        if (expert < 0 || !candidates.contains(expert)) continue;
        const std::pair key{score(expert), candidates.lastOrder(expert)};
        if (best < 0 || key < bestKey) best = expert, bestKey = key;
    }
    return best;
}

std::vector<int> equalShares(const OffloadShape& shape) {
    std::vector<int> shares;
    for (int layer = 0; layer < shape.layers; ++layer)
        shares.push_back(shape.slots / shape.layers + (layer < shape.slots % shape.layers ? 1 : 0));
    return shares;
}

}  // namespace expertscope
