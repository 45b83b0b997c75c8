// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/desktop/profile_job.h"

#include <QFileInfo>

#include <gtest/gtest.h>

namespace expertscope {
namespace {

ProfileJob someJob() {
    ProfileJob job;
    job.prompt = "it's a test";
    job.policies = {"on-demand", "pre-gated"};
    job.link = "25GB/s@10us";
    job.session = "/tmp/a b.esdb";
    return job;
}

TEST(ProfileJob, BecomesTheArgumentsOfARun) {
    const QStringList expected{"run",
                               "--model",
                               "demo",
                               "--prompt",
                               "it's a test",
                               "--tokens",
                               "64",
                               "--policy",
                               "on-demand,pre-gated",
                               "--eviction",
                               "lru",
                               "--budget",
                               "25%",
                               "--link",
                               "25GB/s@10us",
                               "--record",
                               "routing,spans,norms,predictions",
                               "--out",
                               "/tmp/a b.esdb"};
    EXPECT_EQ(someJob().arguments(), expected);
}

TEST(ProfileJob, LeavesOutALinkThatIsNotPaced) {
    ProfileJob job = someJob();
    job.link.clear();
    EXPECT_FALSE(job.arguments().contains("--link"));
}

TEST(ProfileJob, GivesTheRunThePreparedData) {
    ProfileJob job = someJob();
    EXPECT_FALSE(job.arguments().contains("--prepared"));
    job.prepared = "/tmp/my data.safetensors";
    const QStringList words = job.arguments();
    ASSERT_TRUE(words.contains("--prepared"));
    EXPECT_EQ(words.at(words.indexOf("--prepared") + 1), "/tmp/my data.safetensors");
    EXPECT_TRUE(job.commandLine().contains("--prepared '/tmp/my data.safetensors'"));
}

TEST(ProfileJob, CopiesAsACommandThatAShellReadsBack) {
    const QString command = someJob().commandLine();
    EXPECT_TRUE(command.startsWith("expertscope run --model demo --prompt 'it'\\''s a test' --tokens 64"))
        << command.toStdString();
    EXPECT_TRUE(command.endsWith("--out '/tmp/a b.esdb'")) << command.toStdString();
}

TEST(ProfileJob, QuotesOnlyWhatAShellWouldTakeApart) {
    EXPECT_EQ(shellQuoted("25%"), "25%");
    EXPECT_EQ(shellQuoted(""), "''");
    EXPECT_EQ(shellQuoted("a;b"), "'a;b'");
    EXPECT_EQ(shellQuoted("$HOME"), "'$HOME'");
}

TEST(FirstRunJob, PlaysTheBundledPromptsUnderThreePoliciesOnASlowedLink) {
    const ProfileJob job = firstRunJob();
    EXPECT_EQ(job.model, "demo");
    EXPECT_TRUE(QFileInfo::exists(job.prompt)) << job.prompt.toStdString();
    EXPECT_EQ(job.policies, (QStringList{"on-demand", "mixtral-offloading", "pre-gated"}));
    EXPECT_EQ(job.tokens, 160);
    EXPECT_EQ(job.budget, "25%");
    EXPECT_FALSE(job.link.isEmpty());
    EXPECT_TRUE(QFileInfo(QFileInfo(job.session).absolutePath()).isWritable());
}

}  // namespace
}  // namespace expertscope
