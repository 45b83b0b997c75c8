// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "app/cli/command.h"

namespace expertscope {

/// `run`: generates with every asked combination of policy, eviction and budget, and records each as a run.
/// Adds the sub-command to `app`; choosing it sets `action`.
void addRunCommand(CLI::App& app, CommandAction& action);

}  // namespace expertscope
