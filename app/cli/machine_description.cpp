// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/cli/machine_description.h"

#include <fstream>
#include <thread>

#include <sched.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "app/cli/output.h"

namespace expertscope {
namespace {

/// The value of the first line "key : value" of /proc/cpuinfo; empty where there is none (arm64 has no model name).
std::string cpuModel() {
    std::ifstream file("/proc/cpuinfo");
    for (std::string line; std::getline(file, line);) {
        const std::size_t colon = line.find(':');
        if (line.starts_with("model name") && colon + 2 < line.size()) return line.substr(colon + 2);
    }
    return {};
}

int usableCpus() {
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
    return static_cast<int>(std::thread::hardware_concurrency());
}

}  // namespace

std::string machineDescription() {
    utsname system{};
    uname(&system);
    const std::string cpu = cpuModel();
    Json machine = {
        {"cpu", cpu.empty() ? std::string(system.machine) : cpu},
        {"cpus", usableCpus()},
        {"memory_bytes", static_cast<std::int64_t>(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGE_SIZE)},
        {"kernel", std::string(system.sysname) + ' ' + system.release + ' ' + system.machine},
        {"program", "expertscope " EXPERTSCOPE_VERSION},
#if defined(__clang__)
        {"compiler", "clang " __clang_version__},
#else
        {"compiler", "gcc " __VERSION__},
#endif
    };
    return machine.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace expertscope
