// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/offload/policies/policies.h"

namespace expertscope {
namespace {

/// Pre-gated MoE, section IV: the pre-gate of layer l, on the input of layer l's experts, *is* the router of layer l+1,
/// so exactly the experts that will run are brought while layer l computes (the union over a step's tokens). Layer 0
/// has its own gate and fetches on demand; nothing crosses a step. Differs from the paper in that experts stay cached
/// while the budget allows (its Fig. 15 studies such a cache), and in that prefill is pre-gated too.
class PreGated final : public Policy {
public:
    RoutingSource routing(LayerIndex layer) const override {
        if (layer.value() == 0) return {};
        return {.kind = RoutingSource::Kind::PreGate, .ahead = 1};
    }

    void prefetch(const RoutedLayer& routed, Predictors& predictors, const ResidencyView&,
                  std::vector<WantedExpert>& wanted) override {
        const LayerIndex next(routed.layer.value() + 1);
        if (next.value() == shape().layers) return;
        m_seen.assign(static_cast<std::size_t>(shape().experts), false);
        const Prediction expected = predictors.of(PredictorKind::PreGate, next);
        for (std::size_t i = 0; i < expected.experts.size(); ++i) {
            const ExpertId expert = expected.experts[i];
            if (m_seen[expert.index()]) continue;
            m_seen[expert.index()] = true;
            wanted.push_back({{next, expert}, expected.scores[i]});
        }
    }

private:
    std::vector<bool> m_seen;
};

}  // namespace

PolicyEntry preGatedPolicy() {
    return {
        {.name = "pre-gated",
         .exact = false,
         .parameters = {},
         .needs = "a checkpoint with pre-gates",
         .source = "Pre-gated MoE (arXiv 2308.12066)",
         .summary = "A layer's pre-gate chooses the next layer's experts, which are brought while the layer computes.",
         .needsPreGates = true},
        [](Parameters&) { return std::unique_ptr<Policy>(std::make_unique<PreGated>()); }};
}

}  // namespace expertscope
