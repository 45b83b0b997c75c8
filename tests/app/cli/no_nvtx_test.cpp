// SPDX-License-Identifier: GPL-3.0-or-later
#include <gtest/gtest.h>

#include "tests/app/cli/program.h"

namespace expertscope::test {
namespace {

TEST(Record, SaysThatThisBuildCannot) {
    expectRefused(runProgram({"record", "--out", "unused.esdb", "--", "true"}), 1, {"NVTX headers", "build again"});
}

}  // namespace
}  // namespace expertscope::test
