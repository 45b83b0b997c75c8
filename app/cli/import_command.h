// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "app/cli/command.h"

namespace expertscope {

/// `expertscope import IN --out S.esdb`: what other tools recorded, as a run of a session.
void addImportCommand(CLI::App& app, CommandAction& action);

}  // namespace expertscope
