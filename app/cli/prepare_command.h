// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "app/cli/command.h"

namespace expertscope {

/// `expertscope prepare`: what a policy needs beforehand, collected from sessions.
void addPrepareCommand(CLI::App& app, CommandAction& action);

}  // namespace expertscope
