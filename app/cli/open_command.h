// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "app/cli/command.h"

namespace expertscope {

/// `open`, and the program without arguments: the desktop program.
/// Adds the sub-command to `app`; choosing it sets `action`.
void addOpenCommand(CLI::App& app, CommandAction& action);
/// What the program does when no command is named.
CommandAction openWithoutSessions();

}  // namespace expertscope
