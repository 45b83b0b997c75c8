// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/compare/compare_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "two_runs.h"
#include "views/base/theme.h"

namespace expertscope {
namespace {

/// Two runs and the model that compares them.
struct ComparedRuns : TwoRuns {
    ComparedRuns() {
        for (const auto& trace : traces)
            model.take(figuresOf(*trace));
    }
    CompareModel model;
};

TEST(CompareModel, SetsTheLastRunAgainstTheFirstThatIsNotResident) {
    ComparedRuns two;
    EXPECT_EQ(two.model.a(), 0);
    EXPECT_EQ(two.model.b(), 1);
    EXPECT_TRUE(two.model.sentence().contains("pre-gated")) << two.model.sentence().toStdString();
    EXPECT_TRUE(two.model.sentence().contains("3 requests"));
}

TEST(CompareModel, KeepsWhatTheUserChoseWhenARunGrows) {
    ComparedRuns two;
    two.model.choose(1, 0);
    two.model.take(figuresOf(*two.traces[0]));
    EXPECT_EQ(two.model.runs().size(), 2U);
    EXPECT_EQ(two.model.a(), 1);
    EXPECT_EQ(two.model.b(), 0);
}

TEST(CompareModel, StacksBytesByFateToWhatWasIssued) {
    ComparedRuns two;
    for (int run = 0; run < 2; ++run) {
        double issued = 0, drawn = 0;
        for (const TransferRecord& transfer : two.traces[static_cast<std::size_t>(run)]->transfers())
            issued += static_cast<double>(transfer.bytes.count());
        for (const ComparePart& part : two.model.bytes(run))
            drawn += part.value;
        EXPECT_EQ(drawn, issued);
    }
    const DrawList list = two.model.panel(CompareModel::Panel::IssuedBytes, Theme::light());
    double end = 0;
    for (const DrawRect& rect : list.rects)
        if (rect.rect.center().y() > 0.5) end = std::max(end, rect.rect.right());
    EXPECT_LE(end, two.model.panelEnd(CompareModel::Panel::IssuedBytes) * (1 + 1e-9));
    EXPECT_GT(end, 0);
}

TEST(CompareModel, DrawsTheTimeOfEveryRunAsAWhole) {
    ComparedRuns two;
    const DrawList list = two.model.panel(CompareModel::Panel::TimeShares, Theme::light());
    double ends[2] = {0, 0};
    for (const DrawRect& rect : list.rects) {
        double& end = ends[rect.rect.center().y() > 0.5 ? 1 : 0];
        end = std::max(end, rect.rect.right());
    }
    EXPECT_NEAR(ends[0], 100, 1e-6);
    EXPECT_NEAR(ends[1], 100, 1e-6);
}

TEST(CompareModel, DrawsAPointALayerAndJoinsThem) {
    ComparedRuns two;
    const DrawList list = two.model.hitRates(Theme::light());
    EXPECT_EQ(list.rects.size(), 2U * 8U);
    EXPECT_EQ(list.lines.size(), 2U * 7U);
    EXPECT_FALSE(list.lines.front().dashed);
    EXPECT_TRUE(list.lines.back().dashed);
}

TEST(CompareModel, SaysThatOneRunAloneHasNothingToBeComparedWith) {
    ComparedRuns two;
    CompareModel one;
    one.take(figuresOf(*two.traces[0]));
    EXPECT_TRUE(one.sentence().contains("One run"));
    EXPECT_TRUE(CompareModel().sentence().isEmpty());
}

}  // namespace
}  // namespace expertscope
