// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/offload/policies/expected_union.h"
#include "engine/offload/policies/policies.h"

namespace expertscope {
namespace {

/// Pre-gating without training, as BigMoeOnEdge's --route-ahead does it: layer l's experts are those that its own gate
/// picks on the input of layer l − ahead, weighted by the own gate on the proper input. What is brought early is what
/// runs, so nothing moves in vain; the output changes. The first `ahead` layers choose as usual and fetch on demand.
class RouteAhead final : public Policy {
public:
    explicit RouteAhead(int ahead) : m_ahead(ahead) {}

    RoutingSource routing(LayerIndex layer) const override {
        if (layer.value() < m_ahead) return {};
        return {.kind = RoutingSource::Kind::EarlyInput, .ahead = m_ahead};
    }

    void prefetch(const RoutedLayer& routed, Predictors& predictors, const ResidencyView&,
                  std::vector<WantedExpert>& wanted) override {
        const LayerIndex target(routed.layer.value() + m_ahead);
        if (target.value() >= shape().layers) return;
        m_union.append(predictors.of(PredictorKind::NextGate, target), target, shape().topK, wanted);
    }

private:
    int m_ahead;
    ExpectedUnion m_union;
};

}  // namespace

PolicyEntry routeAheadPolicy() {
    return {
        {.name = "route-ahead",
         .exact = false,
         .parameters = "ahead=1 (layers, 1 to 3)",
         .needs = {},
         .source = "BigMoeOnEdge --route-ahead (github.com/Helldez/BigMoeOnEdge)",
         .summary = "A layer's own gate chooses its experts on an earlier layer's input, so they are brought in time."},
        [](Parameters& parameters) {
            return std::unique_ptr<Policy>(std::make_unique<RouteAhead>(parameters.integer("ahead", 1, 1, 3)));
        }};
}

}  // namespace expertscope
