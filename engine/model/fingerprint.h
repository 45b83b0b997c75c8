// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>

#include "engine/model/checkpoint.h"
#include "engine/model/tensor_source.h"

namespace expertscope {

/// 32 hex digits that tell models apart: 128-bit FNV-1a (Fowler, Noll, Vo; offset basis and prime of 128 bits) over the
/// hyper-parameters, the tensor table (name, type, shape, by name) and the values of the last norm and the first
/// layer's router. Where tensors lie does not matter, so a re-sharded copy has the fingerprint of its original; the
/// values tell fine-tuned models from their base at the cost of reading two small tensors.
/// Not a protection against forgery. Throws BadInputError when those two tensors cannot be read.
std::string fingerprint(const ModelConfig& config, const TensorSource& tensors);

}  // namespace expertscope
