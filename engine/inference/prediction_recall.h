// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <map>
#include <tuple>
#include <vector>

#include "engine/base/events.h"

namespace expertscope {

/// Follows a run and counts how much of what its layers used had been foretold. Predictors that know each token are
/// compared choice by choice; a policy's own wishes, which are of a whole step, expert by expert. A wish for a layer at
/// or before the one that it was made at is for the next step.
class PredictionRecall final : public Observer {
public:
    struct Count {
        std::int64_t used = 0, found = 0, expected = 0;
        double recall() const { return used > 0 ? static_cast<double>(found) / static_cast<double>(used) : 0; }
        double precision() const {
            return expected > 0 ? static_cast<double>(found) / static_cast<double>(expected) : 0;
        }
    };

    explicit PredictionRecall(int layers) : m_layers(layers) {}
    void onPredictions(std::span<const PredictionRecord> records) override;
    void onSelections(std::span<const SelectionRecord> records) override;
    void onRequest(const RequestRecord&) override { m_pending.clear(); }

    /// Of predictions `ahead` layers before `target`; zeros where there were none.
    Count of(PredictorKind kind, int ahead, LayerIndex target) const;
    /// Of all layers together.
    Count of(PredictorKind kind, int ahead) const;

private:
    using Key = std::tuple<PredictorKind, int, int>;  ///< kind, layers ahead, target
    int m_layers;
    std::map<Key, Count> m_counts;
    std::map<Key, std::vector<std::pair<TokenIndex, ExpertId>>> m_pending;  ///< waits for its layer's selections
};

}  // namespace expertscope
