// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/offload/policies/policies.h"

namespace expertscope {
namespace {

/// DeepSpeed ZeRO-Inference on an MoE model: weights are streamed layer by layer, whole layers, the next `ahead` while
/// one computes; nothing is kept for reuse and nothing is known of experts, so a step moves the bytes of all experts.
/// The published one begins every forward pass anew; here the stream goes on from the last layer to the next step's
/// first, so that layer 0 is streamed like every other (of a run's first layer only what is needed is brought).
class LayerStream final : public Policy {
public:
    explicit LayerStream(int ahead) : m_ahead(ahead) {}

    bool releases() const override { return true; }
    bool keeps(ExpertRef) const override { return false; }

    void prefetch(const RoutedLayer& routed, Predictors&, const ResidencyView&,
                  std::vector<WantedExpert>& wanted) override {
        for (int distance = 1; distance <= m_ahead && distance < shape().layers; ++distance) {
            const LayerIndex layer((routed.layer.value() + distance) % shape().layers);
            for (int expert = 0; expert < shape().experts; ++expert)
                wanted.push_back({{layer, ExpertId(expert)}});
        }
    }

private:
    int m_ahead;
};

}  // namespace

PolicyEntry layerStreamPolicy() {
    return {{.name = "layer-stream",
             .parameters = "ahead=1 (layers)",
             .needs = {},
             .source = "DeepSpeed ZeRO-Inference (arXiv 2207.00032)",
             .summary = "Streams every layer as a whole, the next ones while a layer computes, and keeps nothing."},
            [](Parameters& parameters) {
                return std::unique_ptr<Policy>(std::make_unique<LayerStream>(parameters.integer("ahead", 1, 1, 64)));
            }};
}

}  // namespace expertscope
