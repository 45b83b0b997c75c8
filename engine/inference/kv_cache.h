// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cmath>
#include <vector>

#include "engine/model/checkpoint.h"

namespace expertscope {

/// Keys and values of the current request, float32, and the rotary tables of its positions.
class KvCache {
public:
    explicit KvCache(const ModelConfig& config)
        : m_width(static_cast<std::size_t>(config.kvHeads) * static_cast<std::size_t>(config.headDim)),
          m_half(static_cast<std::size_t>(config.headDim) / 2),
          m_theta(config.ropeTheta),
          m_keys(static_cast<std::size_t>(config.layers)),
          m_values(static_cast<std::size_t>(config.layers)) {}

    /// Makes room for `positions`; what is stored stays.
    void reserve(int positions) {
        if (positions <= m_positions) return;
        const auto count = static_cast<std::size_t>(positions);
        for (auto* rows : {&m_keys, &m_values})
            for (auto& layer : *rows)
                layer.resize(count * m_width);
        m_cosines.resize(count * m_half);
        m_sines.resize(count * m_half);
        for (std::size_t p = static_cast<std::size_t>(m_positions); p < count; ++p) {
            for (std::size_t i = 0; i < m_half; ++i) {
                const double frequency = std::pow(m_theta, -static_cast<double>(i) / static_cast<double>(m_half));
                m_cosines[p * m_half + i] = static_cast<float>(std::cos(static_cast<double>(p) * frequency));
                m_sines[p * m_half + i] = static_cast<float>(std::sin(static_cast<double>(p) * frequency));
            }
        }
        m_positions = positions;
    }

    /// Floats from one position to the next: kvHeads · headDim.
    std::size_t stride() const { return m_width; }
    /// Row of `position`: [kvHeads · headDim].
    float* keys(int layer, int position) { return m_keys[static_cast<std::size_t>(layer)].data() + row(position); }
    float* values(int layer, int position) { return m_values[static_cast<std::size_t>(layer)].data() + row(position); }
    /// [headDim / 2] of `position`.
    const float* cosines(int position) const { return m_cosines.data() + static_cast<std::size_t>(position) * m_half; }
    const float* sines(int position) const { return m_sines.data() + static_cast<std::size_t>(position) * m_half; }

private:
    std::size_t row(int position) const { return static_cast<std::size_t>(position) * m_width; }

    std::size_t m_width;
    std::size_t m_half;
    double m_theta;
    int m_positions = 0;
    std::vector<std::vector<float>> m_keys;  ///< [layers][positions · stride]
    std::vector<std::vector<float>> m_values;
    std::vector<float> m_cosines;  ///< [positions · headDim / 2]
    std::vector<float> m_sines;
};

}  // namespace expertscope
