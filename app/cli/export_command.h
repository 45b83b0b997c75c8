// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "app/cli/command.h"

namespace expertscope {

/// `export`: a session in the format of another tool.
/// Adds the sub-command to `app`; choosing it sets `action`.
void addExportCommand(CLI::App& app, CommandAction& action);

}  // namespace expertscope
