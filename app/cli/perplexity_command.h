// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "app/cli/command.h"

namespace expertscope {

/// `perplexity`: how well a model, run under a policy, predicts a text.
/// Adds the sub-command to `app`; choosing it sets `action`.
void addPerplexityCommand(CLI::App& app, CommandAction& action);

}  // namespace expertscope
