// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "app/cli/command.h"

namespace expertscope {

/// `policies`: every policy and eviction rule that this build has.
/// Adds the sub-command to `app`; choosing it sets `action`.
void addPoliciesCommand(CLI::App& app, CommandAction& action);

}  // namespace expertscope
