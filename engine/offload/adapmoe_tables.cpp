// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/offload/adapmoe_tables.h"

#include <algorithm>
#include <cmath>

namespace expertscope {

float dropBelow(double threshold, double sensitivity) {
    if (threshold <= 0) return 0;
    if (sensitivity <= 0) return 2;  // more than any weight
    return static_cast<float>(std::min(std::sqrt(threshold / sensitivity), 2.0));
}

int weightBin(float share) { return std::clamp(static_cast<int>(share * kWeightBins), 0, kWeightBins - 1); }

std::vector<double> runsByWeight(std::span<const float> counts, int topK, float least) {
    std::vector<double> runs(static_cast<std::size_t>(topK), 0.0);
    const auto row = [&](int slot) {
        return counts.subspan(static_cast<std::size_t>(slot) * static_cast<std::size_t>(kWeightBins),
                              static_cast<std::size_t>(kWeightBins));
    };
    double tokens = 0;
    for (const float count : row(0))
        tokens += static_cast<double>(count);
    if (tokens == 0) {
        runs.back() = 1;
        return runs;
    }
    double atLeast = 1;  // share of tokens that run the slot; weights fall with the slot, so do these
    for (int slot = 1; slot <= topK; ++slot) {
        double kept = 0;
        for (int bin = 0; slot < topK && bin < kWeightBins; ++bin)
            if (static_cast<float>(bin) + 0.5F >= least * kWeightBins)
                kept += static_cast<double>(row(slot)[static_cast<std::size_t>(bin)]);
        const double next = slot < topK ? std::min(kept / tokens, atLeast) : 0;
        runs[static_cast<std::size_t>(slot) - 1] = atLeast - next;
        atLeast = next;
    }
    return runs;
}

}  // namespace expertscope
