// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <string>

namespace expertscope {

/// A process, told apart from later ones that got its number: pid, start time in clock ticks since boot
/// (/proc/PID/stat, field 22) and the boot's id.
struct ProcessIdentity {
    std::int64_t pid = 0;
    std::int64_t startTicks = 0;
    std::string bootId;
};

ProcessIdentity currentProcess();
/// Whether that very process still runs; one that has ended and waits for its parent does not.
bool isAlive(const ProcessIdentity& process);

}  // namespace expertscope
