// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/analysis/routing/load_balance.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "profiler/analysis/routing/random_choices.h"

namespace expertscope {
namespace {

constexpr double kNoData = std::numeric_limits<double>::quiet_NaN();
constexpr int kDraws = 64;
constexpr std::int64_t kDrawTokenByToken = 20'000;  ///< choices a draw
constexpr double kStarved = 0.1;

void drawTokens(std::vector<double>& loads, std::int64_t tokens, std::vector<std::int32_t>& chosen,
                RandomChoices& random) {
    std::ranges::fill(loads, 0.0);
    for (std::int64_t token = 0; token < tokens; ++token) {
        random.distinct(chosen, static_cast<std::int32_t>(loads.size()));
        for (const std::int32_t expert : chosen)
            loads[static_cast<std::size_t>(expert)] += 1;
    }
}

void drawNormal(std::vector<double>& loads, double tokens, double share, RandomChoices& random) {
    const auto experts = static_cast<double>(loads.size());
    double mean = 0;
    for (double& load : loads)
        mean += (load = random.normal()) / experts;
    // Taking the mean away makes the variance 1 − 1/E and the covariances −1/E: those of a fixed sum.
    const double scale = std::sqrt(tokens * share * (1 - share) * experts / std::max(experts - 1, 1.0));
    for (double& load : loads)
        load = std::max(0.0, std::round(tokens * share + scale * (load - mean)));
}

}  // namespace

LoadBalance loadBalance(std::span<const double> loads) {
    LoadBalance balance;
    const auto count = static_cast<double>(loads.size());
    const double total = std::accumulate(loads.begin(), loads.end(), 0.0);
    for (const double load : loads)
        balance.used += load > 0 ? 1 : 0;
    if (total <= 0) {
        balance.maxVio = balance.cv = balance.entropyBits = balance.normalisedEntropy = balance.effective =
            balance.gini = balance.maxShare = kNoData;
        balance.starved = static_cast<std::int32_t>(loads.size());
        return balance;
    }
    const double mean = total / count;
    double squares = 0;
    for (const double load : loads) {
        squares += (load - mean) * (load - mean);
        balance.starved += load < kStarved * mean ? 1 : 0;
        if (load > 0) balance.entropyBits -= load / total * std::log2(load / total);
    }
    const auto fullest = std::ranges::max_element(loads);
    balance.fullest = static_cast<std::int32_t>(fullest - loads.begin());
    balance.maxVio = (*fullest - mean) / mean;
    balance.maxShare = *fullest / total;
    balance.cv = std::sqrt(squares / count) / mean;
    balance.normalisedEntropy = loads.size() > 1 ? balance.entropyBits / std::log2(count) : 1;
    balance.effective = std::exp2(balance.entropyBits);
    std::vector<double> sorted(loads.begin(), loads.end());
    std::ranges::sort(sorted);
    double weighted = 0;
    for (std::size_t i = 0; i < sorted.size(); ++i)
        weighted += static_cast<double>(i + 1) * sorted[i];
    balance.gini = 2 * weighted / (count * total) - (count + 1) / count;
    return balance;
}

double dropRate(std::span<const double> loads, double capacityFactor) {
    const double total = std::accumulate(loads.begin(), loads.end(), 0.0);
    if (total <= 0) return kNoData;
    const double capacity = capacityFactor * total / static_cast<double>(loads.size());
    double over = 0;
    for (const double load : loads)
        over += std::max(0.0, load - capacity);
    return over / total;
}

RandomBalance randomBalance(std::int64_t tokens, std::int32_t choices, std::int32_t experts, double capacityFactor) {
    if (tokens <= 0) return {kNoData, kNoData, kNoData, kNoData, kNoData, kNoData, kNoData};
    RandomBalance mean;
    RandomChoices random(1);
    std::vector<double> loads(static_cast<std::size_t>(experts));
    std::vector<std::int32_t> chosen(static_cast<std::size_t>(choices));
    for (int draw = 0; draw < kDraws; ++draw) {
        if (tokens * choices <= kDrawTokenByToken)
            drawTokens(loads, tokens, chosen, random);
        else
            drawNormal(loads, static_cast<double>(tokens), static_cast<double>(choices) / experts, random);
        const LoadBalance one = loadBalance(loads);
        mean.maxVio += one.maxVio / kDraws;
        mean.cv += one.cv / kDraws;
        mean.entropyBits += one.entropyBits / kDraws;
        mean.effective += one.effective / kDraws;
        mean.gini += one.gini / kDraws;
        mean.used += static_cast<double>(one.used) / kDraws;
        mean.dropRate += dropRate(loads, capacityFactor) / kDraws;
    }
    return mean;
}

}  // namespace expertscope
