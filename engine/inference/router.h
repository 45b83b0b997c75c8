// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "engine/base/ids.h"
#include "engine/compute/kernels.h"

namespace expertscope {

/// Softmax router: from one token's logits [experts] the k most probable experts by falling probability (of equals the
/// lower id first) and their probabilities, divided by their sum with `normalise`. `scratch` has experts floats.
void chooseExperts(const Kernels& kernels, const float* logits, int experts, int topK, bool normalise, float* scratch,
                   ExpertId* chosen, float* weights);

/// Weights of experts that were chosen elsewhere: `chosen` [k] is sorted by falling logit, and `weights` [k] are their
/// probabilities, divided by their sum with `normalise`. `scratch` has experts floats.
void weighExperts(const Kernels& kernels, const float* logits, int experts, int topK, bool normalise, float* scratch,
                  ExpertId* chosen, float* weights);

}  // namespace expertscope
