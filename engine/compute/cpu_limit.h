// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <filesystem>

namespace expertscope {

/// CPUs' worth of time that the control groups of this process allow: the smallest quota of its group and the groups
/// above it (cgroup v2 cpu.max, v1 cpu.cfs_quota_us), rounded down, at least 1; 0 when none is set. `root` stands for
/// the root of the file system.
int cgroupCpuQuota(const std::filesystem::path& root);

}  // namespace expertscope
