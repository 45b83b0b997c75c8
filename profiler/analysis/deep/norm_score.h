// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <span>
#include <vector>

#include "engine/base/deep_aggregates.h"
#include "profiler/analysis/analysis_catalogue.h"

namespace expertscope {

/// How the norms of the experts' outputs go with the router's scores, in one layer or, by pooled(), over layers.
struct NormScore {
    std::int64_t tokens = 0;         ///< (token, layer) pairs
    std::vector<double> rankCounts;  ///< [E, E] of them with score rank (row) and norm rank (column), 0 = smallest
    double spearman = 0;             ///< mean of Spearman's ρ of the E scores and norms of a token; NaN for E < 2
    double spearmanDeviation = 0;    ///< of that mean where norms and scores are independent: 1/√(tokens·(E−1))
    /// Of the k best by score, the part that is among the k largest by norm; k/E by chance.
    double topOverlap = 0, randomOverlap = 0;
    double meanNorm = 0;                           ///< over all experts and tokens
    double meanChosenNorm = 0, meanOtherNorm = 0;  ///< over the choices, and over all others; NaN where there are none
};
/// `topK`: the model's. NaN where no token was taken.
NormScore normScore(const DeepLayer& layer, std::int32_t topK);
/// The same over all layers with the same number of experts as the first (the paper's "ALL").
NormScore pooledNormScore(std::span<const DeepLayer> layers, std::int32_t topK);

/// Means by expert of one layer: what a map of layers × experts shows.
struct ExpertNorms {
    std::vector<double> norm;        ///< [E] mean ‖f‖₂ over all tokens taken
    std::vector<double> chosenNorm;  ///< [E] over the tokens that chose it; NaN where none did
    std::vector<double> maxNorm;     ///< [E]
    std::vector<double> score;       ///< [E] mean softmax probability
};
ExpertNorms expertNorms(const DeepLayer& layer);

/// One token of the examples: every expert's score and norm.
struct TokenNorms {
    TokenIndex token{-1};        ///< in the run
    std::vector<double> score;   ///< [E]
    std::vector<double> norm;    ///< [E]
    std::vector<double> weight;  ///< [E] as applied; 0 where not chosen
};
/// The example tokens of a layer, in order.
std::vector<TokenNorms> tokenNorms(const DeepLayer& layer);

AnalysisInfo normScoreAnalysis();    ///< "norm-score": layers, and all of them pooled
AnalysisInfo normRanksAnalysis();    ///< "norm-ranks": score rank × norm rank
AnalysisInfo expertNormsAnalysis();  ///< "expert-norms": layers × experts
AnalysisInfo tokenNormsAnalysis();   ///< "token-norms": layers × example tokens × experts

}  // namespace expertscope
