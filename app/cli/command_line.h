// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

namespace expertscope {

/// Reads the command line, runs the sub-command that it names (none: the desktop program) and gives the exit code.
/// Throws Error; everything that CLI11 finds wrong becomes a UsageError of one sentence.
int runCommandLine(int argc, char** argv);

}  // namespace expertscope
