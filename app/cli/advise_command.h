// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "app/cli/command.h"

namespace expertscope {

/// `expertscope advise MODEL|SESSION`: one policy and budget for a memory and a link, with the evidence behind it.
void addAdviseCommand(CLI::App& app, CommandAction& action);

}  // namespace expertscope
