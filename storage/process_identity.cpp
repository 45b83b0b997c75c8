// SPDX-License-Identifier: GPL-3.0-or-later
#include "storage/process_identity.h"

#include <fstream>
#include <optional>
#include <sstream>

#include <unistd.h>

namespace expertscope {
namespace {

std::string currentBootId() {
    std::ifstream file("/proc/sys/kernel/random/boot_id");
    std::string id;
    std::getline(file, id);
    return id;
}

/// Start time of a process that runs; nothing where there is none.
std::optional<std::int64_t> startTicksOf(std::int64_t pid) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
    std::string line;
    if (!std::getline(file, line)) return std::nullopt;
    // The program's name is in parentheses and may hold spaces and parentheses itself.
    const std::size_t nameEnd = line.rfind(')');
    if (nameEnd == std::string::npos) return std::nullopt;
    std::istringstream fields(line.substr(nameEnd + 1));
    std::string state;
    fields >> state;  // field 3
    if (state == "Z" || state == "X") return std::nullopt;
    std::string skipped;
    for (int field = 4; field < 22; ++field) {
        fields >> skipped;
    }
    std::int64_t ticks = 0;
    if (!(fields >> ticks)) return std::nullopt;
    return ticks;
}

}  // namespace

ProcessIdentity currentProcess() {
    const std::int64_t pid = getpid();
    return {pid, startTicksOf(pid).value_or(0), currentBootId()};
}

bool isAlive(const ProcessIdentity& process) {
    if (process.bootId != currentBootId()) return false;
    return startTicksOf(process.pid) == process.startTicks;
}

}  // namespace expertscope
