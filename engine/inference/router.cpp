// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/inference/router.h"

#include <algorithm>

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
    int count = 0;
    for (int expert = 0; expert < experts; ++expert) {
        // Most are worse than all that are chosen.
        if (count == topK && !(logits[chosen[topK - 1].value()] < logits[expert])) continue;
        int at = std::min(count, topK - 1);
        for (; at > 0 && logits[chosen[at - 1].value()] < logits[expert]; --at)
            chosen[at] = chosen[at - 1];
        chosen[at] = ExpertId(expert);
        count = std::min(count + 1, topK);
    }
    probabilities(kernels, logits, experts, topK, normalise, scratch, chosen, weights);
}

void weighExperts(const Kernels& kernels, const float* logits, int experts, int topK, bool normalise, float* scratch,
                  ExpertId* chosen, float* weights) {
    std::stable_sort(chosen, chosen + topK,
                     [&](ExpertId a, ExpertId b) { return logits[a.value()] > logits[b.value()]; });
    probabilities(kernels, logits, experts, topK, normalise, scratch, chosen, weights);
}

}  // namespace expertscope
