// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/inference/expert_math.h"

#include <algorithm>
#include <cmath>

namespace expertscope {

ExpertScratch::ExpertScratch(const ModelConfig& config) {
    const auto block = static_cast<std::size_t>(kTokenBlock);
    input.resize(block * static_cast<std::size_t>(config.hidden));
    gate.resize(block * static_cast<std::size_t>(config.expertWidth));
    up.resize(block * static_cast<std::size_t>(config.expertWidth));
    output.resize(block * static_cast<std::size_t>(config.hidden));
}

bool runExpert(const Kernels& kernels, const ModelConfig& c, const ExpertWeights& weights, std::span<const int> uses,
               const ExpertRows& rows, ExpertScratch& scratch) {
    const auto count = static_cast<int>(uses.size());
    const auto inputOf = [&](int use) { return rows.input + std::ptrdiff_t{use / c.topK} * c.hidden; };
    const auto outputOf = [&](int use) { return rows.output + std::ptrdiff_t{use} * c.hidden; };
    // A single token needs no gathering: decoding reads and writes in place.
    const bool single = count == 1;
    const float* const x = single ? inputOf(uses[0]) : scratch.input.data();
    float* const y = single ? outputOf(uses[0]) : scratch.output.data();
    for (int i = 0; !single && i < count; ++i)
        std::copy_n(inputOf(uses[static_cast<std::size_t>(i)]), c.hidden, scratch.input.data() + i * c.hidden);
    kernels.matmul(weights.gate, x, count, 0, c.expertWidth, scratch.gate.data());
    kernels.matmul(weights.up, x, count, 0, c.expertWidth, scratch.up.data());
    kernels.siluMultiply(scratch.gate.data(), scratch.up.data(), count * c.expertWidth, scratch.gate.data());
    kernels.matmul(weights.down, scratch.gate.data(), count, 0, c.hidden, y);
    bool finite = true;
    for (int i = 0; i < count; ++i) {
        const int use = uses[static_cast<std::size_t>(i)];
        if (!single) std::copy_n(y + i * c.hidden, c.hidden, outputOf(use));
        const float norm = kernels.norm(y + i * c.hidden, c.hidden);
        finite = finite && std::isfinite(norm);
        rows.norms[use] = norm;
    }
    return finite;
}

}  // namespace expertscope
