// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/inference/sampler.h"

#include <algorithm>
#include <cmath>

namespace expertscope {

Sampler::Sampler(const SamplingOptions& options, int vocabulary) : m_options(options), m_random(options.seed) {
    if (options.temperature > 0) m_candidates.reserve(static_cast<std::size_t>(vocabulary));
}

std::int32_t Sampler::choose(std::span<const float> logits) {
    const auto best = std::ranges::max_element(logits);
    if (m_options.temperature <= 0) return static_cast<std::int32_t>(best - logits.begin());

    m_candidates.clear();
    double sum = 0;
    for (std::size_t id = 0; id < logits.size(); ++id) {
        const float weight = std::exp((logits[id] - *best) / m_options.temperature);
        m_candidates.emplace_back(weight, static_cast<std::int32_t>(id));
        sum += weight;
    }
    // The id as second key keeps the order, and so the choice, the same on every machine.
    std::ranges::sort(m_candidates, [](const auto& a, const auto& b) {
        return a.first != b.first ? a.first > b.first : a.second < b.second;
    });
    double kept = 0;
    std::size_t count = 0;
    while (count < m_candidates.size() && (count == 0 || kept < sum * static_cast<double>(m_options.topP)))
        kept += m_candidates[count++].first;
    const double uniform = static_cast<double>(m_random() >> 11) * 0x1.0p-53;
    double left = uniform * kept;
    for (std::size_t i = 0; i + 1 < count; ++i) {
        left -= m_candidates[i].first;
        if (left < 0) return m_candidates[i].second;
    }
    return m_candidates[count - 1].second;
}

float logProbability(const Kernels& kernels, std::span<const float> logits, std::int32_t id, std::span<float> scratch) {
    std::ranges::copy(logits, scratch.begin());
    return logits[static_cast<std::size_t>(id)] - kernels.softmax(scratch.data(), static_cast<int>(scratch.size()));
}

}  // namespace expertscope
