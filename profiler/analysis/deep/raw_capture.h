// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/ids.h"

namespace expertscope {

/// What the gate projections of a layer's experts made of one token: a = σ(gate row · x), before the product with the
/// up row. E experts of I neurons.
struct ActivationMap {
    LayerIndex layer;
    TokenIndex token;
    std::int32_t experts = 0, neurons = 0;
    std::vector<float> values;   ///< [E, I]
    std::vector<float> weights;  ///< [E] as applied; NaN where the token did not choose the expert

    bool chosen(std::size_t expert) const { return !std::isnan(weights[expert]); }
    float at(std::size_t expert, std::size_t neuron) const {
        return values[expert * static_cast<std::size_t>(neurons) + neuron];
    }
};

/// The raw vectors of one run's deep capture, as its session keeps them (`run --record deep:raw`). Keeps no file open:
/// usable from any thread.
class RawCapture {
public:
    /// Throws BadInputError where the file is no session, or its vectors are not as long as they should be.
    RawCapture(std::filesystem::path session, RunId run);

    /// The layers whose activations were kept, ascending.
    const std::vector<LayerIndex>& layers() const { return m_layers; }
    /// Of a layer, in order: their indices in the run.
    std::vector<std::int32_t> tokens(LayerIndex layer) const;
    /// Nothing where the capture did not take the layer or the token, or kept no activations.
    std::optional<ActivationMap> activations(LayerIndex layer, TokenIndex token) const;
    /// Why no layer has activations, and what to do about it; empty where one has.
    std::string missing() const;

private:
    std::filesystem::path m_session;
    RunId m_run;
    std::vector<LayerIndex> m_layers;
    bool m_keptOthers = false;  ///< vectors, but no activations
};

}  // namespace expertscope
