// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "app/cli/command.h"

namespace expertscope {

/// `expertscope replay SESSION…`: policies, evictions, budgets and links simulated over recorded routing.
void addReplayCommand(CLI::App& app, CommandAction& action);

}  // namespace expertscope
