// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <vector>

#include "profiler/analysis/analysis_catalogue.h"
#include "profiler/analysis/routing/load_balance.h"

namespace expertscope {

struct BalanceOptions {
    double capacityFactor = 1.25;   ///< of the drop rate
    std::int32_t batchTokens = 64;  ///< tokens of a batch, for MaxVio by batch
};

/// The balance of one layer's loads, in assignments.
struct LayerBalance {
    LayerIndex layer;
    std::int64_t tokens = 0, assignments = 0;
    LoadBalance load;
    double batchMaxVio = 0;  ///< mean over full batches of consecutive tokens; NaN without one
    double dropRate = 0;     ///< at capacityFactor · assignments / E
    /// Switch Transformer's E · Σ f P with f the share of assignments and P the share of gate weight as applied (0 for
    /// experts not chosen: the probabilities of those are not recorded); 1 where both are even. NaN where weights are
    /// not known.
    double switchLoss = 0;
    RandomBalance random;
};

/// Every layer's balance. O(assignments + layers · E log E).
std::vector<LayerBalance> balanceOf(const RunRouting& routing, const BalanceOptions& options = {});

/// Loads [layers, E]: assignments of each expert.
std::vector<std::vector<double>> loadsOf(const RunRouting& routing);

AnalysisInfo balanceAnalysis();
AnalysisInfo loadAnalysis();

}  // namespace expertscope
