// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <functional>

#include "app/cli/stop_signal.h"

namespace expertscope {

/// What AnalysisInput::progress is on the command line: tells a person on a terminal how far an analysis is, and ends
/// it (Error, interrupted) once a signal has asked for it.
std::function<void(double)> analysisProgress(const StopSignal& stop);

/// Ends the command where a signal has asked for it, as analysisProgress() does.
void throwIfStopped(const StopSignal& stop);

}  // namespace expertscope
