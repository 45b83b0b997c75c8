// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>
#include <string_view>

#include "engine/model/checkpoint.h"

namespace expertscope {

/// Reads the text of a Hugging Face config.json of a Qwen3-MoE model (Qwen3MoeForCausalLM). `file` is for messages.
/// Throws BadInputError with one sentence: an architecture, quantisation or variant that is not supported (named, with
/// what is), a missing key, a value out of range.
ModelConfig parseModelConfig(std::string_view text, const std::string& file);

}  // namespace expertscope
