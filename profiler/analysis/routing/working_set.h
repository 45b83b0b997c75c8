// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "profiler/analysis/analysis_catalogue.h"

namespace expertscope {

/// How many different experts of a layer the first tokens of a request need: mean over requests and layers that routed
/// at least so many.
struct WorkingSet {
    std::int32_t tokens = 0;
    std::int64_t windows = 0;  ///< (request, layer) pairs
    double distinct = 0;       ///< mean number of experts
    std::int32_t most = 0;
    double share = 0;        ///< distinct / E
    double randomShare = 0;  ///< of uniform choices: 1 − (1 − k/E)^tokens
};
/// For 1, 2, 4 … tokens. O(assignments). Source: BigMoeOnEdge route-analyze.
std::vector<WorkingSet> workingSetGrowth(const RunRouting& routing);

/// What blocks of consecutive tokens of a request need of one layer.
struct BlockCoverage {
    static constexpr std::array<std::int32_t, 5> kPercents{50, 80, 90, 95, 99};

    std::int32_t tokens = 0;                 ///< a block
    std::int64_t blocks = 0;                 ///< full ones, of all layers
    double meanDistinct = 0;                 ///< experts
    std::array<std::int32_t, 5> distinct{};  ///< so many suffice for 50 … 99 % of the blocks entirely
    std::array<double, 5> needed{};          ///< mean number of experts that take 50 … 99 % of a block's assignments
    double randomDistinct = 0;               ///< of uniform choices: E (1 − (1 − k/E)^tokens)
    std::array<double, 5> randomNeeded{};    ///< mean over 256 drawn blocks
};
/// For blocks of 1, 2, 4 … `longest` tokens. O(assignments · log longest). Source: moe-routing-study's coverage CDF.
std::vector<BlockCoverage> coverageOf(const RunRouting& routing, std::int32_t longest = 128);

AnalysisInfo workingSetAnalysis();
AnalysisInfo coverageAnalysis();

}  // namespace expertscope
