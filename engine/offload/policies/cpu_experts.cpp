// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>

#include "engine/offload/policies/policies.h"
#include "engine/offload/policies/static_placement.h"

namespace expertscope {
namespace {

/// llama.cpp's --n-cpu-moe N (and -ot by layer): the experts of the first N layers are computed where they lie, those
/// of the other layers are on the device. llama.cpp leaves N to the user and fails where the rest does not fit; here
/// layers=-1 takes the smallest N whose rest fits the budget, and with a smaller N what does not fit stays in place.
class CpuExperts final : public StaticPlacement {
public:
    explicit CpuExperts(int layers) : m_layers(layers) {}

    void begin(const OffloadContext& context) override {
        Policy::begin(context);
        const int fitting = std::min(shape().slots / shape().experts, shape().layers);
        const int first = m_layers < 0 ? shape().layers - fitting : m_layers;
        std::vector<ExpertRef> order;
        for (int layer = first; layer < shape().layers; ++layer)
            for (int expert = 0; expert < shape().experts; ++expert)
                order.push_back({LayerIndex(layer), ExpertId(expert)});
        place(std::move(order), shape().slots);
    }

private:
    int m_layers;
};

}  // namespace

PolicyEntry cpuExpertsPolicy() {
    return {
        {.name = "cpu-experts",
         .parameters = "layers=-1 (the first N; -1: as many as the budget demands)",
         .needs = {},
         .source = "llama.cpp --n-cpu-moe",
         .summary = "The experts of the first layers are computed where they lie, the others are on the device."},
        [](Parameters& parameters) {
            return std::unique_ptr<Policy>(std::make_unique<CpuExperts>(parameters.integer("layers", -1, -1, 1 << 20)));
        }};
}

}  // namespace expertscope
