// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "app/cli/command.h"

namespace expertscope {

/// `info`: what a checkpoint or a session holds.
/// Adds the sub-command to `app`; choosing it sets `action`.
void addInfoCommand(CLI::App& app, CommandAction& action);

}  // namespace expertscope
