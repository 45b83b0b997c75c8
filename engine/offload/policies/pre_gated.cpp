// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/offload/policies/expected_union.h"
#include "engine/offload/policies/policies.h"

namespace expertscope {
namespace {

/// Pre-gated MoE, section IV: the pre-gate of layer l, on the input of layer l's experts, *is* the router of layer
/// l + ahead (the paper's activation level; 1 in its body, 1 to 3 in its Fig. 13), so exactly the experts that will run
/// are brought while the layers between compute (the union over a step's tokens). The first `ahead` layers have their
/// own gates and fetch on demand; nothing crosses a step. Differs from the paper in that experts stay cached while the
/// budget allows (its Fig. 15 studies such a cache), in that prefill is pre-gated too, and in that pre-gates may be
/// fitted to a checkpoint (pre_gate_fit.h) where the paper trains them with the model.
class PreGated final : public Policy {
public:
    PreGated(int ahead, int only) : m_ahead(ahead), m_only(only) {}

    RoutingSource routing(LayerIndex layer) const override {
        if (layer.value() < m_ahead || (m_only >= 0 && layer.value() != m_only)) return {};
        return {.kind = RoutingSource::Kind::PreGate, .ahead = m_ahead};
    }

    void prefetch(const RoutedLayer& routed, Predictors& predictors, const ResidencyView&,
                  std::vector<WantedExpert>& wanted) override {
        const LayerIndex target(routed.layer.value() + m_ahead);
        if (target.value() >= shape().layers || routing(target) == RoutingSource{}) return;
        m_union.append(predictors.of(PredictorKind::PreGate, target), target, shape().topK, wanted);
    }

private:
    int m_ahead;
    int m_only;  ///< −1: all
    ExpectedUnion m_union;
};

}  // namespace

PolicyEntry preGatedPolicy() {
    return {{.name = "pre-gated",
             .exact = false,
             .parameters = "ahead=1 (layers, 1 to 3), layer=-1 (pre-gates this one alone; −1 = all)",
             .needs = "pre-gates at that distance, of the checkpoint or of a fitted file",
             .source = "Pre-gated MoE (arXiv 2308.12066)",
             .summary =
                 "A layer's pre-gate chooses a later layer's experts, which are brought while those between compute.",
             .needsPreGates = true},
            [](Parameters& parameters) {
                const int ahead = parameters.integer("ahead", 1, 1, 3);
                const int only = parameters.integer("layer", -1, -1, 100000);
                return std::unique_ptr<Policy>(std::make_unique<PreGated>(ahead, only));
            }};
}

}  // namespace expertscope
