// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <vector>

#include "profiler/analysis/analysis_catalogue.h"

namespace expertscope {

/// How well one predictor foretold one layer. P is the set of experts that it expected, A the set that ran; both are of
/// one token (of one step where PredictorKind::Policy: that one wishes for whole steps, and a wish for a layer at or
/// before the one that it was made at is for the next step).
struct PredictionQuality {
    struct Score {
        double recall = 0;     ///< Σ |P ∩ A| / Σ |A|
        double precision = 0;  ///< Σ |P ∩ A| / Σ |P|
        double exact = 0;      ///< part of the predictions with P = A
    };
    PredictorKind predictor = PredictorKind::PreGate;
    std::int32_t ahead = 0;  ///< layers between the state that was looked at and the target; 0: its own layer
    LayerIndex target{-1};   ///< −1: all layers together
    std::int64_t predictions = 0;
    std::int64_t expected = 0, used = 0, found = 0;  ///< Σ |P|, Σ |A|, Σ |P ∩ A|
    Score score;
    /// The control of chance: sets of the same sizes, drawn uniformly. Its expectation, not a draw.
    Score random;
    /// The control of popularity: every token's prediction handed to another token of the same table. Its expectation
    /// over all permutations.
    Score shuffled;
};

/// By predictor, distance, target; after the targets of each predictor and distance one row of all of them. Predictions
/// of what was not recorded (a layer that did not route the token) are left out. O((predictions + assignments) log).
std::vector<PredictionQuality> predictionQuality(const RunRouting& routing);

AnalysisInfo predictionQualityAnalysis();

}  // namespace expertscope
