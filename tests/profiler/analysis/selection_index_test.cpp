// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/analysis/selection_index.h"

#include <gtest/gtest.h>

#include "profiler/analysis/number_text.h"
#include "tests/profiler/analysis/trace_fixture.h"

namespace expertscope {
namespace {

TEST(SelectionIndex, FindsEveryRecordedSelectionAndNothingElse) {
    const TestTrace trace = randomTrace(3, 8, 2, 2, 4, 9);
    SelectionIndex index(3, 2);
    EXPECT_EQ(index.tokens(), 0);
    EXPECT_TRUE(index.update(trace.view()));
    EXPECT_FALSE(index.update(trace.view()));
    for (std::size_t i = 0; i < trace.selections.size(); ++i) {
        const SelectionRecord& s = trace.selections[i];
        EXPECT_EQ(index.find(s.layer, s.token, s.slot), static_cast<std::int64_t>(i));
        EXPECT_EQ(index.stepOf(s.token), s.step);
    }
    EXPECT_EQ(index.tokens(), 33) << "the last generated token is never run";
    EXPECT_EQ(index.find(LayerIndex{0}, TokenIndex{16}, 0), -1) << "nor is the first request's";
    EXPECT_EQ(index.stepOf(TokenIndex{16}), StepIndex{-1});
    EXPECT_EQ(index.find(LayerIndex{0}, TokenIndex{99}, 0), -1);
    EXPECT_EQ(index.find(LayerIndex{-1}, TokenIndex{0}, 0), -1);
    EXPECT_EQ(index.find(LayerIndex{0}, TokenIndex{0}, 2), -1);
}

TEST(NumberText, GroupsThousands) {
    EXPECT_EQ(groupedNumber(0), "0");
    EXPECT_EQ(groupedNumber(999), "999");
    EXPECT_EQ(groupedNumber(1000), "1,000");
    EXPECT_EQ(groupedNumber(-1234567), "-1,234,567");
    EXPECT_EQ(groupedNumber(-123), "-123");
}

}  // namespace
}  // namespace expertscope
