// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <functional>
#include <span>
#include <string>

#include "engine/inference/calibration.h"
#include "engine/offload/prepared_data.h"

namespace expertscope {

/// Counts what AdapMoE's cache sizes rest on, from a run's selections and predictions (live, or told again from a
/// session): weights by slot, and how much of a layer's use its gate had foretold one layer before.
class AdapMoeStatistics final : public Observer {
public:
    AdapMoeStatistics(int layers, int topK);
    void onSelections(std::span<const SelectionRecord> records) override;
    void onPredictions(std::span<const PredictionRecord> records) override;
    /// Sets the tables; `data` is of the same model.
    void writeTo(PreparedData& data) const;

private:
    int m_layers, m_topK;
    std::vector<float> m_weights;                                          ///< [L, k, kWeightBins]
    std::vector<float> m_found, m_used;                                    ///< [L]
    std::vector<std::vector<std::pair<TokenIndex, ExpertId>>> m_expected;  ///< [L] of the layer, until it has chosen
};

/// Measures a model's sensitivities for AdapMoE: for every layer, how far the next token's distribution moves (KL from
/// the whole model, in nats, mean over positions) when that layer alone runs each token's first expert only, divided by
/// the mean squared share of the weight that was dropped. One pass over the held-out texts a layer; at most `positions`
/// positions are compared, whose logits are kept. Also counts AdapMoeStatistics over the same texts.
PreparedData calibrateAdapMoe(const Checkpoint& checkpoint, std::span<const CalibrationText> texts,
                              const EngineOptions& options, int positions = 1024,
                              const std::function<void(const std::string&)>& progress = {});

}  // namespace expertscope
