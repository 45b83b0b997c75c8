// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <filesystem>

namespace expertscope {

/// Prints what a session holds: its runs with their state, what they were and what they measured.
void printSessionInfo(const std::filesystem::path& session, bool json);

}  // namespace expertscope
