// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <memory>
#include <vector>

#include "engine/offload/eviction.h"

namespace expertscope {

/// HybriMoE's minus-recent-score rule: every layer keeps S ← α · TopP(s) + (1 − α) · S over its experts, where s are a
/// token's router scores with only the P highest kept, and the expert of the layer with the lowest S leaves. Tokens of
/// a step count one after the other. Needs the own gate's P best (Policy::ownGateWidth); O(P + experts) a token.
class MrsEviction final : public EvictionRule {
public:
    /// S [layers · experts], read by the policy that prefetches by it.
    using Scores = std::vector<double>;

    MrsEviction(std::shared_ptr<Scores> scores, double alpha) : m_scores(std::move(scores)), m_alpha(alpha) {
        setPerLayer(true);
    }
    void begin(const OffloadContext& context) override {
        m_experts = context.shape.experts;
        m_scores->assign(static_cast<std::size_t>(context.shape.total()), 0);
    }
    void onLayer(const RoutedLayer& routed, Predictors& predictors) override;
    void onUse(int, std::int64_t, bool) override {}
    void onAdmit(int, std::int64_t) override {}
    double score(int expert) const override { return (*m_scores)[static_cast<std::size_t>(expert)]; }

private:
    std::shared_ptr<Scores> m_scores;
    double m_alpha;
    int m_experts = 0;
};

}  // namespace expertscope
