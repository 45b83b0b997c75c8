// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "app/cli/command.h"

namespace expertscope {

/// `analyze`: the analyses of a session or a model, by name, as tables.
/// Adds the sub-command to `app`; choosing it sets `action`.
void addAnalyzeCommand(CLI::App& app, CommandAction& action);

}  // namespace expertscope
