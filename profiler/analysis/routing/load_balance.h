// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <span>

namespace expertscope {

/// How even the loads of E bins are (experts of a layer, GPUs of a cluster). c_e is the load, T = Σ c, m = T / E,
/// p_e = c_e / T. All NaN where nothing was counted (T = 0).
struct LoadBalance {
    double maxVio = 0;             ///< (max c − m) / m; 0 … E/k − 1 where k different experts a token are chosen
    double cv = 0;                 ///< population standard deviation / m
    double entropyBits = 0;        ///< −Σ p log2 p
    double normalisedEntropy = 0;  ///< / log2 E; 1 for E = 1
    double effective = 0;          ///< 2^entropy: so many bins, evenly loaded, have this entropy
    double gini = 0;               ///< 2 Σ i c_(i) / (E T) − (E + 1) / E, ascending, i from 1; 0 … 1 − 1/E
    double maxShare = 0;           ///< max p
    std::int32_t fullest = -1;     ///< the first bin of the greatest load
    std::int32_t used = 0;         ///< bins with c > 0
    std::int32_t starved = 0;      ///< bins with c < 0.1 m, empty ones among them
};

/// O(E log E). Sources: MaxVio of "Auxiliary-loss-free load balancing" (arXiv 2408.15664); CV of Shazeer et al. (arXiv
/// 1701.06538); Gini and Shannon entropy as usual.
LoadBalance loadBalance(std::span<const double> loads);

/// Part of the load that finds no room where every bin takes at most capacityFactor · T / E: Σ max(0, c − C) / T
/// (Switch Transformer, arXiv 2101.03961). NaN without load.
double dropRate(std::span<const double> loads, double capacityFactor);

/// What the same measures come to by chance alone: the mean over 64 draws in which each of `tokens` tokens chooses
/// `choices` different of `experts` experts, all equally likely. Small cases are drawn token by token, large ones from
/// the normal distribution with the same means and covariances (n k/E, n k/E (1 − k/E), Σ c = n k).
struct RandomBalance {
    double maxVio = 0, cv = 0, entropyBits = 0, effective = 0, gini = 0, used = 0, dropRate = 0;
};
RandomBalance randomBalance(std::int64_t tokens, std::int32_t choices, std::int32_t experts, double capacityFactor);

}  // namespace expertscope
