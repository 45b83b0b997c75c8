// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/compute/cpu_limit.h"

#include <algorithm>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace expertscope {
namespace {

namespace fs = std::filesystem;

/// A file of one or two numbers ("max" counts as none), as cgroups write them.
std::vector<double> readNumbers(const fs::path& file) {
    std::ifstream in(file);
    std::vector<double> numbers;
    for (double value; in >> value;)
        numbers.push_back(value);
    return numbers;
}

std::optional<double> quotaOfGroup(const fs::path& group) {
    const auto unified = readNumbers(group / "cpu.max");
    if (unified.size() == 2 && unified[1] > 0) return unified[0] / unified[1];
    const auto quota = readNumbers(group / "cpu.cfs_quota_us");
    const auto period = readNumbers(group / "cpu.cfs_period_us");
    if (quota.size() == 1 && period.size() == 1 && quota[0] > 0 && period[0] > 0) return quota[0] / period[0];
    return std::nullopt;
}

/// "cpu" as one of the comma-separated controllers, or the empty list of cgroup v2.
bool governsCpu(std::string_view controllers) {
    if (controllers.empty()) return true;
    while (true) {
        const auto comma = controllers.find(',');
        if (controllers.substr(0, comma) == "cpu") return true;
        if (comma == std::string_view::npos) return false;
        controllers.remove_prefix(comma + 1);
    }
}

}  // namespace

int cgroupCpuQuota(const fs::path& root) {
    std::optional<double> smallest;
    const auto consider = [&](const fs::path& mount, fs::path group) {
        // In a container the mount may show the own group as its root: missing folders on the way are skipped.
        while (true) {
            if (const auto quota = quotaOfGroup(mount / group)) smallest = std::min(smallest.value_or(*quota), *quota);
            if (group.empty()) return;
            group = group.parent_path();
        }
    };
    std::ifstream groups(root / "proc/self/cgroup");  // lines of hierarchy:controllers:/path
    for (std::string line; std::getline(groups, line);) {
        const auto first = line.find(':');
        const auto second = first == std::string::npos ? first : line.find(':', first + 1);
        if (second == std::string::npos) continue;
        const std::string controllers = line.substr(first + 1, second - first - 1);
        if (!governsCpu(controllers)) continue;
        const fs::path group = fs::path(line.substr(second + 1)).relative_path();
        consider(root / "sys/fs/cgroup", group);
        if (!controllers.empty()) {
            consider(root / "sys/fs/cgroup" / controllers, group);
            consider(root / "sys/fs/cgroup/cpu", group);
        }
    }
    return smallest ? std::max(1, static_cast<int>(*smallest)) : 0;
}

}  // namespace expertscope
