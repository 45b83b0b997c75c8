// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>

namespace expertscope {

/// Prints what a checkpoint holds: its shape, its experts, layer by layer, its tokenizer, and the budgets worth trying.
void printModelInfo(const std::string& model, bool json);

}  // namespace expertscope
