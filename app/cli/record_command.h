// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "app/cli/command.h"

namespace expertscope {

/// `expertscope record --out S.esdb -- COMMAND…`: the NVTX ranges of any program, as a run of a session.
void addRecordCommand(CLI::App& app, CommandAction& action);

}  // namespace expertscope
