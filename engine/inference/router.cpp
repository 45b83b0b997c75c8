// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/inference/router.h"

#include <algorithm>
#include <array>
#include <span>

namespace expertscope {
namespace {

/// Softmax probabilities of those chosen.
void probabilities(const Kernels& kernels, const float* logits, int experts, int topK, bool normalise, float* scratch,
                   const ExpertId* chosen, float* weights) {
    std::copy(logits, logits + experts, scratch);
    kernels.softmax(scratch, experts);
    float sum = 0;
    for (int slot = 0; slot < topK; ++slot)
        sum += weights[slot] = scratch[chosen[slot].value()];
    if (!normalise) return;
    for (int slot = 0; slot < topK; ++slot)
        weights[slot] /= sum;
}

}  // namespace

void chooseExperts(const Kernels& kernels, const float* logits, int experts, int topK, bool normalise, float* scratch,
                   ExpertId* chosen, float* weights) {
    // Ranked by logit, not by probability: far below the best one probabilities round to equal values.
    std::copy(logits, logits + experts, scratch);
    std::array<int, 16> places;
    int count = 0;
    for (int found = 1; found > 0 && count < topK; count += found) {
        const int wanted = std::min(topK - count, static_cast<int>(places.size()));
        found = kernels.largest(scratch, experts, wanted, places.data());
        std::ranges::transform(std::span(places).first(static_cast<std::size_t>(found)), chosen + count,
                               [](int place) { return ExpertId(place); });
    }
    for (int expert = 0; count < topK; ++expert)  // logits that are no numbers come last
        if (std::find(chosen, chosen + count, ExpertId(expert)) == chosen + count) chosen[count++] = ExpertId(expert);
    probabilities(kernels, logits, experts, topK, normalise, scratch, chosen, weights);
}

void weighExperts(const Kernels& kernels, const float* logits, int experts, int topK, bool normalise, float* scratch,
                  ExpertId* chosen, float* weights) {
    std::stable_sort(chosen, chosen + topK,
                     [&](ExpertId a, ExpertId b) { return logits[a.value()] > logits[b.value()]; });
    probabilities(kernels, logits, experts, topK, normalise, scratch, chosen, weights);
}

}  // namespace expertscope
