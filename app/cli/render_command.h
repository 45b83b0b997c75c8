// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "app/cli/command.h"

namespace expertscope {

/// `render`: one view of a session as a picture, without a window.
/// Adds the sub-command to `app`; choosing it sets `action`.
void addRenderCommand(CLI::App& app, CommandAction& action);

}  // namespace expertscope
