// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "app/cli/command.h"

namespace expertscope {

/// `tokenize`: token ids and pieces of a text.
/// Adds the sub-command to `app`; choosing it sets `action`.
void addTokenizeCommand(CLI::App& app, CommandAction& action);

}  // namespace expertscope
