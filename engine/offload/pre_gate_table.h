// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>

#include "engine/base/ids.h"

namespace expertscope {

/// Name of the prepared table [experts, hidden] that holds a fitted pre-gate: it reads the normalised input of the
/// experts of `reads` and gives the router logits of the layer `ahead` after it.
inline std::string preGateTable(int ahead, LayerIndex reads) {
    return "pre_gate." + std::to_string(ahead) + "." + std::to_string(reads.value());
}

}  // namespace expertscope
