// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "engine/inference/calibration.h"
#include "engine/offload/prepared_data.h"

namespace expertscope {

struct PreGateFitOptions {
    EngineOptions engine;                 ///< where experts are meanwhile: an exact policy
    std::vector<int> distances{1, 2, 3};  ///< layers ahead
    double ridge = 1e-3;                  ///< penalty, in multiples of the inputs' mean square
    bool perplexityByLayer = true;        ///< also with one layer alone routed early: a run a layer and distance
};

/// How well one layer's experts are foretold from `ahead` layers before, on the held-out texts: shares of the top-k
/// that are among the predictor's top-k.
struct PreGateQuality {
    int ahead = 0;
    LayerIndex target;
    double recall = 0;          ///< of the fitted pre-gate
    double nextGateRecall = 0;  ///< of the layer's own gate on the same input: what needs no fit
    double perplexity = 0;      ///< with this layer alone routed by its fitted pre-gate; 0 where not asked for
};

struct PreGateDistance {
    int ahead = 0;
    double recall = 0, nextGateRecall = 0;  ///< means over layers
    double perplexity = 0;                  ///< with all layers routed by fitted pre-gates
};

struct PreGateFit {
    PreparedData data;  ///< pre_gate.D.N
    std::vector<PreGateQuality> layers;
    std::vector<PreGateDistance> distances;
    double residentPerplexity = 0;
    std::int64_t tokens = 0, heldOutTokens = 0;
};

/// Fits pre-gates to a checkpoint (Pre-gated MoE trains them with the model): ridge regression of a layer's router
/// logits, less their mean over experts (which changes no softmax), on the normalised router inputs of the layer
/// `ahead` before: W = Yᵀ X (Xᵀ X + λ I)⁻¹. `texts` that are held out judge the fit and do not enter it. One pass over
/// the texts, O(tokens · H · (H + distances · E)) and 8 · H² bytes a layer; then one pass over the held-out texts for
/// each perplexity. `progress` gets a sentence at each stage. Throws UsageError when there is nothing to fit on.
PreGateFit fitPreGates(const Checkpoint& checkpoint, std::span<const CalibrationText> texts,
                       const PreGateFitOptions& options, const std::function<void(const std::string&)>& progress = {});

}  // namespace expertscope
