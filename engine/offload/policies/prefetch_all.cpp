// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/offload/policies/policies.h"

namespace expertscope {
namespace {

/// SE-MoE's schedule: while layer l computes, every expert of layer l+1 is brought, in order of its number, whether it
/// will be chosen or not. Differs from the published one in that experts stay cached while the budget allows; at a
/// budget of two layers it is their double buffer.
class PrefetchAll final : public Policy {
public:
    void prefetch(const RoutedLayer& routed, Predictors&, const ResidencyView&,
                  std::vector<WantedExpert>& wanted) override {
        const LayerIndex next(routed.layer.value() + 1);
        if (next.value() == shape().layers) return;
        for (int expert = 0; expert < shape().experts; ++expert)
            wanted.push_back({{next, ExpertId(expert)}});
    }
};

}  // namespace

PolicyEntry prefetchAllPolicy() {
    return {{.name = "prefetch-all",
             .parameters = {},
             .needs = {},
             .source = "SE-MoE (arXiv 2205.10034); MoE-Prefetch in Pre-gated MoE (arXiv 2308.12066)",
             .summary = "While a layer computes, all experts of the next layer are brought."},
            [](Parameters&) { return std::unique_ptr<Policy>(std::make_unique<PrefetchAll>()); }};
}

}  // namespace expertscope
