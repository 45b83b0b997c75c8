// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "app/cli/command.h"

namespace expertscope {

/// `sql`: a query over a session.
/// Adds the sub-command to `app`; choosing it sets `action`.
void addSqlCommand(CLI::App& app, CommandAction& action);

}  // namespace expertscope
