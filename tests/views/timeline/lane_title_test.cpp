// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/timeline/lane_title.h"

#include <vector>

#include <gtest/gtest.h>

namespace expertscope {
namespace {

LaneInfo thread(int lane, const char* name) { return {LaneId(lane), LaneRole::Thread, name}; }

TEST(LaneTitle, LeavesOutTheOnlyProgram) {
    const std::vector<LaneInfo> lanes{thread(1, "python3 7 · main"), thread(2, "python3 7 · main · 2"),
                                      thread(3, "python3 7 · loader 9"), thread(4, "python3 7 · python3 12")};
    EXPECT_EQ(laneTitle(lanes, LaneId(1)), QString("main"));
    EXPECT_EQ(laneTitle(lanes, LaneId(2)), QString("level 2"));
    EXPECT_EQ(laneTitle(lanes, LaneId(3)), QString("loader 9"));
    EXPECT_EQ(laneTitle(lanes, LaneId(4)), QString("thread 12"));
}

TEST(LaneTitle, TellsProgramsApart) {
    const std::vector<LaneInfo> lanes{thread(1, "python3 7 · main"), thread(2, "python3 8 · main")};
    EXPECT_EQ(laneTitle(lanes, LaneId(1)), QString("python3 7 · main"));
    EXPECT_EQ(laneTitle(lanes, LaneId(2)), QString("python3 8 · main"));
}

TEST(LaneTitle, TakesALaneOfAnUnknownFormAsItIs) {
    const std::vector<LaneInfo> lanes{thread(1, "stream 13"), thread(2, "python3 7 · 2")};
    EXPECT_EQ(laneTitle(lanes, LaneId(1)), QString("stream 13"));
    EXPECT_EQ(laneTitle(lanes, LaneId(2)), QString("python3 7 · 2")) << "a thread of that name, not a level";
    EXPECT_EQ(laneTitle(lanes, LaneId(9)), QString("Ranges 9"));
}

}  // namespace
}  // namespace expertscope
