// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/compute/cpu_limit.h"

#include <fstream>
#include <string>

#include <gtest/gtest.h>
#include <unistd.h>

namespace expertscope {
namespace {

namespace fs = std::filesystem;

/// A folder that stands for the root of a file system.
class CgroupQuotaTest : public testing::Test {
protected:
    CgroupQuotaTest()
        : m_root(fs::temp_directory_path() / ("expertscope-cgroup-" + std::to_string(::getpid()) + "-" +
                                              testing::UnitTest::GetInstance()->current_test_info()->name())) {
        fs::remove_all(m_root);
    }
    ~CgroupQuotaTest() override { fs::remove_all(m_root); }

    void write(const fs::path& file, const std::string& text) {
        fs::create_directories((m_root / file).parent_path());
        std::ofstream(m_root / file) << text;
    }

    fs::path m_root;
};

TEST_F(CgroupQuotaTest, IsNoneWithoutControlGroups) {
    EXPECT_EQ(cgroupCpuQuota(m_root), 0);
    write("proc/self/cgroup", "0::/user.slice\n");
    EXPECT_EQ(cgroupCpuQuota(m_root), 0);
    write("sys/fs/cgroup/user.slice/cpu.max", "max 100000\n");
    EXPECT_EQ(cgroupCpuQuota(m_root), 0);
}

TEST_F(CgroupQuotaTest, IsTheSmallestOfTheGroupAndThoseAboveIt) {
    write("proc/self/cgroup", "0::/a/b/c\n");
    write("sys/fs/cgroup/a/cpu.max", "300000 100000\n");
    write("sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
    write("sys/fs/cgroup/a/b/c/cpu.max", "800000 100000\n");
    EXPECT_EQ(cgroupCpuQuota(m_root), 3);
}

TEST_F(CgroupQuotaTest, RoundsDownButNeverToNothing) {
    write("proc/self/cgroup", "0::/\n");
    write("sys/fs/cgroup/cpu.max", "250000 100000\n");
    EXPECT_EQ(cgroupCpuQuota(m_root), 2);
    write("sys/fs/cgroup/cpu.max", "20000 100000\n");
    EXPECT_EQ(cgroupCpuQuota(m_root), 1);
}

TEST_F(CgroupQuotaTest, ReadsVersionOneOfTheCpuControllerAlone) {
    write("proc/self/cgroup", "5:memory:/job\n4:cpu,cpuacct:/job\n3:cpuset:/job\n");
    write("sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us", "400000\n");
    write("sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_period_us", "100000\n");
    EXPECT_EQ(cgroupCpuQuota(m_root), 4);
    write("sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us", "-1\n");
    EXPECT_EQ(cgroupCpuQuota(m_root), 0);
}

}  // namespace
}  // namespace expertscope
