// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <limits>
#include <vector>

#include "engine/base/ids.h"
#include "engine/base/units.h"

namespace expertscope {

/// What a deep capture takes: layers and tokens of the run, first and last included.
struct DeepCaptureOptions {
    LayerIndex firstLayer{0}, lastLayer{std::numeric_limits<std::int32_t>::max()};
    TokenIndex firstToken{0}, lastToken{std::numeric_limits<std::int32_t>::max()};
    std::int32_t examples = 16;  ///< tokens of which each expert's score and norm are kept; the first that are taken
    bool raw = false;            ///< whether the vectors themselves are told too (engine/base/deep_sink.h)
    Bytes mostRaw{std::int64_t{1} << 30};  ///< that the user lets them take in a session, all runs of a command

    bool takes(LayerIndex layer) const { return layer >= firstLayer && layer <= lastLayer; }
    bool takes(TokenIndex token) const { return token >= firstToken && token <= lastToken; }
    bool operator==(const DeepCaptureOptions&) const = default;
};

/// Tokens of the examples whose similarity matrices are kept too (the paper prints three).
inline constexpr std::int32_t kDeepMatrixExamples = 3;
/// |activation| above which a neuron counts as active ("A Closer Look into Mixture-of-Experts").
inline constexpr float kDeepActive = 0.001F;

/// What every expert of one layer made of the true inputs of the tokens taken, summed over those tokens. E experts, I
/// neurons each. f is an expert's output before weighting, s the softmax of the router's logits over all experts, g the
/// weight as applied; an expert is chosen by a token when its output went into the layer's. Ranks ascend, 0 = smallest;
/// of equals the lower expert comes first. All arrays are row-major. Where nothing was taken `tokens` is 0.
struct DeepLayer {
    LayerIndex layer;
    std::int32_t experts = 0, neurons = 0;
    std::int64_t tokens = 0;  ///< taken

    std::vector<double> chosen;           ///< [E] tokens that chose the expert
    std::vector<double> weightSum;        ///< [E] Σ g over those
    std::vector<double> scoreSum;         ///< [E] Σ s
    std::vector<double> normSum;          ///< [E] Σ ‖f‖₂
    std::vector<double> normMax;          ///< [E] greatest ‖f‖₂
    std::vector<double> chosenNormSum;    ///< [E] Σ ‖f‖₂ over the tokens that chose it
    std::vector<double> chosenSquareSum;  ///< [E] Σ ‖f‖₂² over those
    std::vector<double> weightedNormSum;  ///< [E] Σ g‖f‖₂ over those
    std::vector<double> outputMax;        ///< [E] greatest |f_i|
    std::vector<double> chosenOutputMax;  ///< [E] greatest |f_i| over the tokens that chose it
    std::vector<double> rankCounts;  ///< [E, E] tokens with the score rank (row) and norm rank (column) at one expert

    std::vector<double> pairTokens;  ///< [E, E] tokens in which both outputs have a direction (are not all zeros)
    std::vector<double> cosineSum;   ///< [E, E] Σ cos(f_i, f_j) over those
    std::vector<double> angularSum;  ///< [E, E] Σ 1 − arccos(cos)/π over those
    /// [3, 3] by both, one, neither of a pair chosen: pairs · Σ cosine · Σ angular similarity.
    std::vector<double> pairClasses;

    std::vector<double>
        neuronActive;               ///< [E, I] tokens with |a| > kDeepActive; a = σ(gate row · x), before the product
    std::vector<double> neuronSum;  ///< [E, I] Σ |a|
    std::vector<double> chosenActive;  ///< [E] (token, neuron) with |a| > kDeepActive over the tokens that chose it

    /// [8] With c = Σ s·f over the chosen, u = Σ s·f over the others, summed over tokens: tokens with c ≠ 0 ≠ u, and
    /// over those: Σ s of the others · ‖u‖/‖c‖ · ‖u‖/(‖c‖+‖u‖) · cos(u, c) · cos(c, c+u) · ‖u⊥‖/‖u‖ with u⊥ = u less
    /// its part along c · ‖c+u‖/‖c‖.
    std::vector<double> unselected;
    /// [4] Σ (log Σ exp logits)² · Σ log Σ exp logits · Σ entropy of s in bits · Σ greatest s.
    std::vector<double> router;
    std::vector<double> hiddenMax;  ///< [1] greatest |value| of the residual stream after the layer

    std::vector<double> exampleTokens;   ///< [n] index in the run
    std::vector<double> exampleScores;   ///< [n, E] s
    std::vector<double> exampleNorms;    ///< [n, E] ‖f‖₂
    std::vector<double> exampleWeights;  ///< [n, E] g; 0 where the expert was not chosen
    std::vector<double> exampleCosines;  ///< [min(n, kDeepMatrixExamples), E, E]; NaN without a direction
};

/// What a deep capture of a run gives.
struct DeepAggregates {
    DeepCaptureOptions options;
    std::int32_t modelLayers = 0, topK = 0;  ///< of the model
    bool complete = true;                    ///< whether the capture had ended: not in the middle of a run
    std::vector<DeepLayer> layers;           ///< those taken, ascending
};

}  // namespace expertscope
