// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/analysis/weights/weight_study.h"

#include <fmt/format.h>

#include "engine/compute/thread_pool.h"
#include "profiler/analysis/weights/expert_weights.h"
#include "profiler/analysis/weights/weight_pass.h"

namespace expertscope {

WeightStudy::WeightStudy(const Checkpoint& checkpoint, const TensorSource* dense, int threads)
    : m_weights(std::make_unique<ExpertMatrices>(checkpoint, dense)),
      m_pool(std::make_unique<ThreadPool>(threads)),
      m_layers(static_cast<std::size_t>(m_weights->layers())) {}

WeightStudy::~WeightStudy() = default;

const LayerExpertWeights& WeightStudy::layer(LayerIndex layer, const std::function<void(double)>& progress) {
    std::optional<LayerExpertWeights>& kept = m_layers.at(layer.index());
    if (!kept) kept = readLayerWeights(*m_weights, layer, *m_pool, progress);
    return *kept;
}

std::string WeightStudy::counted() const {
    const ModelConfig& config = m_weights->checkpoint().config();
    std::string text =
        fmt::format("Weights of {} in {} with {} of {} neurons and {} inputs each", m_weights->checkpoint().name(),
                    config.layers == 1 ? "1 layer" : fmt::format("{} layers", config.layers),
                    config.experts == 1 ? "1 expert" : fmt::format("{} experts", config.experts), config.expertWidth,
                    config.expertInputs());
    bool shared = false, dense = false;
    for (std::int32_t layer = 0; layer < config.layers; ++layer) {
        for (const WeightUnit& unit : m_weights->units(LayerIndex(layer))) {
            shared |= unit.expert < 0 && unit.name != "F";
            dense |= unit.name == "F";
        }
    }
    if (shared) text += ", SE: shared experts";
    if (dense) text += ", F: the dense model's FFN of the same layer";
    return text + ".";
}

StudyInUse::StudyInUse(const AnalysisInput& input) : m_study(input.weights) {
    if (m_study == nullptr) m_study = &m_own.emplace(*input.checkpoint);
}

std::vector<LayerIndex> chosenLayers(const WeightStudy& study, Parameters& parameters) {
    const std::int32_t layers = study.weights().layers();
    const int only = parameters.integer("layer", -1, -1, layers - 1);
    const int every = parameters.integer("every", 1, 1, 1 << 20);
    if (only >= 0) return {LayerIndex(only)};
    std::vector<LayerIndex> chosen;
    for (std::int32_t layer = 0; layer < layers; ++layer)
        if (layer % every == 0 || layer == layers - 1) chosen.push_back(LayerIndex(layer));
    return chosen;
}

void forEachLayer(const std::vector<LayerIndex>& layers, const AnalysisInput& input,
                  const std::function<void(LayerIndex, const std::function<void(double)>&)>& use) {
    for (std::size_t n = 0; n < layers.size(); ++n) {
        const auto progress = [&](double done) {
            if (input.progress) input.progress((static_cast<double>(n) + done) / static_cast<double>(layers.size()));
        };
        progress(0);
        use(layers[n], progress);
    }
    if (input.progress) input.progress(1);
}

AnalysisCell unitCell(const WeightUnit& unit) {
    if (unit.expert >= 0) return std::int64_t{unit.expert};
    return unit.name;
}

}  // namespace expertscope
