// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <random>
#include <span>
#include <vector>

#include "engine/compute/kernels.h"

namespace expertscope {

struct SamplingOptions {
    float temperature = 0;  ///< 0 = greedy
    float topP = 1;
    std::uint64_t seed = 0;
};

/// Chooses the next token. Greedy: the highest logit, of equals the lowest id. Otherwise from softmax(logits ÷
/// temperature) cut to the smallest set of most probable tokens whose probabilities reach topP; the same seed gives the
/// same choices.
class Sampler {
public:
    Sampler(const SamplingOptions& options, int vocabulary);
    std::int32_t choose(std::span<const float> logits);

private:
    SamplingOptions m_options;
    std::mt19937_64 m_random;
    std::vector<std::pair<float, std::int32_t>> m_candidates;
};

/// log softmax(logits)[id]; not finite when a logit is not. `scratch` has as many floats.
float logProbability(const Kernels& kernels, std::span<const float> logits, std::int32_t id, std::span<float> scratch);

}  // namespace expertscope
