// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/desktop/token_strip_model.h"

#include <QTemporaryDir>
#include <numeric>

#include <gtest/gtest.h>

#include "session_fixture.h"

namespace expertscope {
namespace {

class TokenStripModelTest : public ::testing::Test {
protected:
    void SetUp() override {
        test::writeSession(folder.filePath("s.esdb"));
        reader.emplace(folder.filePath("s.esdb").toStdString());
        trace.emplace(*reader, RunId(1));
        while (trace->refresh()) {}
        model.update(*trace);
    }
    DrawList draw(int pixels) const {
        return model.draw({.range = QRectF(0, 0, 6, model.height()), .pixels = QSize(pixels, 80)}, Theme::light());
    }
    QTemporaryDir folder;
    std::optional<SessionReader> reader;
    std::optional<RunTrace> trace;
    TokenStripModel model;
};

TEST_F(TokenStripModelTest, SharesAStepsTimeAmongItsTokens) {
    const auto& bars = model.bars();
    ASSERT_EQ(bars.size(), 6U);
    // The first step of a request: 4 ms, of which 1 ms of waiting, for two tokens; the second: 2 ms for one.
    EXPECT_DOUBLE_EQ(bars[0].computeMs, 1.5);
    EXPECT_DOUBLE_EQ(bars[0].waitMs, 0.5);
    EXPECT_DOUBLE_EQ(bars[1].totalMs(), 2);
    EXPECT_DOUBLE_EQ(bars[2].computeMs, 2);
    EXPECT_DOUBLE_EQ(bars[2].waitMs, 0);
}

TEST_F(TokenStripModelTest, BarsAddUpToTheStepsTime) {
    double total = 0;
    for (const TokenBar& bar : model.bars())
        total += bar.totalMs();
    EXPECT_NEAR(total, 12, 1e-9);
}

TEST_F(TokenStripModelTest, StacksWaitOnComputeInTheColoursOfBoth) {
    const DrawList list = draw(600);
    ASSERT_GE(list.rects.size(), 2U);
    EXPECT_EQ(list.rects[0].color, Theme::light().color(Meaning::Compute));
    EXPECT_EQ(list.rects[1].color, Theme::light().color(Meaning::Wait));
    EXPECT_EQ(list.rects[1].pattern, Pattern::CrossHatch);
    EXPECT_DOUBLE_EQ(list.rects[1].rect.top(), list.rects[0].rect.bottom());
    EXPECT_DOUBLE_EQ(list.rects[1].rect.bottom(), 2.0);
    EXPECT_EQ(list.rects[0].tag, 0);
}

TEST_F(TokenStripModelTest, DrawsNoMoreBarsThanPixels) {
    const DrawList list = draw(2);  // three tokens a pixel
    for (const DrawRect& rect : list.rects)
        EXPECT_EQ(rect.tag, -1);
    const auto compute = std::count_if(list.rects.begin(), list.rects.end(), [](const DrawRect& rect) {
        return rect.color == Theme::light().color(Meaning::Compute);
    });
    EXPECT_EQ(compute, 2);
}

TEST_F(TokenStripModelTest, MarksWhereRequestsBeginAndNamesThem) {
    const DrawList list = draw(600);
    ASSERT_EQ(list.texts.size(), 2U);
    EXPECT_EQ(list.texts[0].text, "cpp");
    EXPECT_EQ(list.texts[1].text, "poem");
    ASSERT_EQ(list.lines.size(), 1U);
    EXPECT_DOUBLE_EQ(list.lines[0].from.x(), 3);
    EXPECT_TRUE(draw(60).texts.empty()) << "a label that does not fit is left out";
}

TEST_F(TokenStripModelTest, DescribesATokenInWords) {
    EXPECT_EQ(model.describe(4), "token 4 “e” · poem · 2.00 ms = compute 1.50 ms + wait 0.500 ms");
    EXPECT_EQ(model.describe(6), "");
    EXPECT_EQ(model.describe(-1), "");
}

TEST_F(TokenStripModelTest, IsTheSameHoweverTheRecordsCome) {
    for (std::size_t spans = 0; spans <= trace->spans().size(); ++spans) {
        for (std::size_t tokens = 0; tokens <= trace->tokens().size(); ++tokens) {
            RecordBatch some;
            some.spans.assign(trace->spans().begin(), trace->spans().begin() + static_cast<std::ptrdiff_t>(spans));
            some.tokens.assign(trace->tokens().begin(), trace->tokens().begin() + static_cast<std::ptrdiff_t>(tokens));
            TokenStripModel grown;
            grown.update(RunTrace(trace->entry(), {}, {}, some));
            grown.update(*trace);
            ASSERT_EQ(grown.bars().size(), model.bars().size());
            for (std::size_t i = 0; i < model.bars().size(); ++i) {
                EXPECT_DOUBLE_EQ(grown.bars()[i].computeMs, model.bars()[i].computeMs) << spans << " " << tokens;
                EXPECT_DOUBLE_EQ(grown.bars()[i].waitMs, model.bars()[i].waitMs) << spans << " " << tokens;
            }
            EXPECT_DOUBLE_EQ(grown.top(), model.top());
        }
    }
}

TEST_F(TokenStripModelTest, IsTheSameAfterFurtherUpdates) {
    const double top = model.top();
    model.update(*trace);
    EXPECT_EQ(model.bars().size(), 6U);
    EXPECT_DOUBLE_EQ(model.bars()[0].computeMs, 1.5);
    EXPECT_DOUBLE_EQ(model.top(), top);
    model.clear();
    EXPECT_TRUE(model.bars().empty());
}

}  // namespace
}  // namespace expertscope
