// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <vector>

#include "engine/inference/layer_predictors.h"

namespace expertscope {

/// Shadow predictions of generated tokens, made for several tokens at once: a decode step's few rows would fetch every
/// gate four times over to use it for one token, and that costs more than everything else that is recorded. So the
/// routers' inputs are kept for up to kTokens tokens or for kLongest, whichever ends first, and then all gates run over
/// them in one go. The numbers do not depend on that (see Kernels); only when they are told does.
class ShadowPredictions {
public:
    static constexpr int kTokens = 16;
    static constexpr Nanoseconds kLongest{50'000'000};

    /// `ownGateWidth`: how many choices of a layer's own gate are told, 0 = none; `maxTokens`: how many rows the
    /// predictors take at once.
    ShadowPredictions(const ModelConfig& config, LayerPredictors& predictors, int ownGateWidth, int maxTokens);

    /// Keeps the normalised input [H] of `layer`'s experts for a token; every layer of a step in order.
    void keep(StepIndex step, TokenIndex token, LayerIndex layer, const float* hidden, Nanoseconds now);
    /// How many tokens are kept.
    int kept() const { return static_cast<int>(m_rows.size()); }
    /// Whether it is time to tell, after a step's last layer.
    bool due(Nanoseconds now) const { return kept() == m_tokens || (kept() > 0 && now - m_since >= kLongest); }
    /// Tells the predictions of all kept tokens, in order of step and layer, and forgets them.
    void tell(Observer& observer);

private:
    const ModelConfig* m_config;
    LayerPredictors* m_predictors;
    int m_ownGateWidth;
    int m_tokens;  ///< most that are kept
    std::vector<PredictionRow> m_rows;
    std::vector<float> m_inputs;              ///< [layers, most tokens, H]
    std::vector<PredictionRecord> m_records;  ///< [kept tokens, records a token]
    Nanoseconds m_since;                      ///< when the first of them was kept
};

}  // namespace expertscope
