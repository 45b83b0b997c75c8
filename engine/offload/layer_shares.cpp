// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/offload/layer_shares.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>

namespace expertscope {

double expectedLoads(const LayerDemand& demand, int experts, int cached) {
    double loads = 0;
    double allCached = 1;  // probability that none of n is missing: C(cached, n) / C(experts, n)
    for (int n = 1; n <= static_cast<int>(demand.runs.size()); ++n) {
        allCached *= static_cast<double>(std::max(cached - n + 1, 0)) / (experts - n + 1);
        const double missing = n * (1 - static_cast<double>(cached) / experts);
        loads += demand.runs[static_cast<std::size_t>(n) - 1] * (missing - demand.accuracy * (1 - allCached));
    }
    return loads;
}

std::vector<int> sharesByDemand(const std::vector<LayerDemand>& layers, int experts, int slots) {
    const int count = static_cast<int>(layers.size());
    if (slots < count) return {};
    const int most = std::min(slots, count * experts);
    const auto width = static_cast<std::size_t>(most) + 1;
    constexpr double kAlike = 1e-9;
    constexpr double kNever = std::numeric_limits<double>::infinity();
    std::vector<double> best(width, kNever), next(width);  // [slots given so far] least loads
    std::vector<int> choice(static_cast<std::size_t>(count) * width);
    best[0] = 0;
    std::vector<double> loads(static_cast<std::size_t>(experts) + 1);
    for (int layer = 0; layer < count; ++layer) {
        for (int share = 1; share <= experts; ++share)
            loads[static_cast<std::size_t>(share)] =
                expectedLoads(layers[static_cast<std::size_t>(layer)], experts, share);
        std::ranges::fill(next, kNever);
        for (int given = layer + 1; given <= most; ++given)
            for (int share = 1; share <= std::min(experts, given); ++share) {
                const double sum =
                    best[static_cast<std::size_t>(given - share)] + loads[static_cast<std::size_t>(share)];
                double& least = next[static_cast<std::size_t>(given)];
                int& chosen = choice[static_cast<std::size_t>(layer) * width + static_cast<std::size_t>(given)];
                // Of equal divisions the most even one: where every expert helps alike, sums differ by rounding alone.
                const auto uneven = [&](int candidate) { return std::abs(candidate * (layer + 1) - given); };
                const bool even = std::abs(sum - least) < kAlike && uneven(share) < uneven(chosen);
                if (!even && sum >= least - kAlike) continue;
                least = std::min(least, sum);
                chosen = share;
            }
        std::swap(best, next);
    }
    std::vector<int> shares(static_cast<std::size_t>(count));
    int left = most;
    for (int layer = count; layer-- > 0; left -= shares[static_cast<std::size_t>(layer)])
        shares[static_cast<std::size_t>(layer)] =
            choice[static_cast<std::size_t>(layer) * width + static_cast<std::size_t>(left)];
    return shares;
}

}  // namespace expertscope
