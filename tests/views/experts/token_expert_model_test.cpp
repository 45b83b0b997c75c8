// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/experts/token_expert_model.h"

#include <cmath>

#include <gtest/gtest.h>

#include "tests/profiler/analysis/trace_fixture.h"
#include "views/base/theme.h"

namespace expertscope {
namespace {

/// One layer, four experts, top-1: a prompt of two tokens (step 0), two generated, the last of them never run.
TestTrace smallTrace() {
    TestTrace trace;
    trace.tokens = {token(0, 0, Phase::Prefill), token(1, 0, Phase::Prefill), token(2, 0, Phase::Decode),
                    token(3, 0, Phase::Decode)};
    trace.selections = {selection(0, 0, 0, 0, 2, 1.0F, Outcome::Miss), selection(0, 1, 0, 0, 1, 0.5F, Outcome::Miss),
                        selection(1, 2, 0, 0, 2, 0.25F, Outcome::Hit)};
    trace.residency = {change(ResidencyChange::Admit, ResidencyReason::Demand, 0, 0, 0, 2),
                       change(ResidencyChange::Admit, ResidencyReason::Demand, 0, 0, 0, 1)};
    trace.requests.resize(1);
    trace.requests[0].promptTokens = 2;
    return trace;
}

ModelFacts facts() {
    ModelFacts model;
    model.layers = 1;
    model.experts = 4;
    model.topK = 1;
    return model;
}

TokenExpertModel modelOf(const TestTrace& trace) {
    TokenExpertModel model;
    model.setRun(facts());
    model.update(trace.view());
    return model;
}

const Viewport kWide{QRectF(0, 0, 4, 4), QSize(400, 400)};

TEST(TokenExpertModel, ChosenCellsHaveTheirWeightAndResidentOnesAreTinted) {
    const TestTrace trace = smallTrace();
    const TokenExpertModel model = modelOf(trace);
    const Theme& theme = Theme::light();
    const DrawList list = model.map(kWide, trace.view(), theme);
    ASSERT_EQ(list.images.size(), 1U);
    EXPECT_EQ(list.images[0].rect, QRectF(0, 0, 4, 4));
    const QImage& image = list.images[0].image;
    EXPECT_EQ(image.pixel(0, 2), theme.sequential(1.0));
    EXPECT_EQ(image.pixel(1, 1), theme.sequential(0.5));
    EXPECT_EQ(image.pixel(2, 2), theme.sequential(0.25));
    EXPECT_EQ(image.pixel(0, 0), theme.background().rgb());
    EXPECT_EQ(image.pixel(0, 1), theme.background().rgb()) << "loaded in this step, after its lookup";
    EXPECT_NE(image.pixel(2, 1), theme.background().rgb()) << "resident since the step before";
    EXPECT_EQ(image.pixel(3, 1), theme.background().rgb()) << "the token was never run";
    ASSERT_EQ(list.lines.size(), 1U);
    EXPECT_EQ(list.lines[0].from, QPointF(2, 0));
    EXPECT_TRUE(list.lines[0].dashed);
}

TEST(TokenExpertModel, OutcomesHaveTheirOwnColours) {
    const TestTrace trace = smallTrace();
    TokenExpertModel model = modelOf(trace);
    model.setColour(TokenExpertModel::Colour::Outcome);
    const QImage image = model.map(kWide, trace.view(), Theme::dark()).images[0].image;
    EXPECT_EQ(image.pixel(0, 2), Theme::dark().color(Meaning::Miss).rgb());
    EXPECT_EQ(image.pixel(2, 2), Theme::dark().color(Meaning::Hit).rgb());
}

TEST(TokenExpertModel, AColumnOfSeveralTokensShowsTheirGreatestWeightAndWorstOutcome) {
    const TestTrace trace = smallTrace();
    TokenExpertModel model = modelOf(trace);
    const Viewport narrow{QRectF(0, 0, 4, 4), QSize(1, 400)};
    EXPECT_EQ(model.perColumn(narrow), 4);
    DrawList list = model.map(narrow, trace.view(), Theme::light());
    ASSERT_EQ(list.images[0].image.width(), 1);
    EXPECT_EQ(list.images[0].image.pixel(0, 2), Theme::light().sequential(1.0));
    model.setColour(TokenExpertModel::Colour::Outcome);
    list = model.map(narrow, trace.view(), Theme::light());
    EXPECT_EQ(list.images[0].image.pixel(0, 2), Theme::light().color(Meaning::Miss).rgb());
}

TEST(TokenExpertModel, OnlyTheVisibleTokensAreDrawn) {
    const TestTrace trace = smallTrace();
    const DrawList list = modelOf(trace).map({QRectF(1.5, 0, 1, 4), QSize(400, 400)}, trace.view(), Theme::light());
    EXPECT_EQ(list.images[0].rect, QRectF(1, 0, 2, 4));
}

TEST(TokenExpertModel, HoverTellsTheChoiceTheOutcomeAndTheResidency) {
    const TestTrace trace = smallTrace();
    const TokenExpertModel model = modelOf(trace);
    const QString chosen = model.describe({TokenIndex{2}, ExpertId{2}}, trace.view());
    EXPECT_TRUE(chosen.contains("choice 1 of 1, weight 0.250, ● hit")) << chosen.toStdString();
    EXPECT_TRUE(chosen.contains("resident when step 1 looked it up"));
    EXPECT_TRUE(model.describe({TokenIndex{2}, ExpertId{0}}, trace.view()).contains("not chosen\nnot resident"));
    EXPECT_TRUE(model.describe({TokenIndex{3}, ExpertId{0}}, trace.view()).contains("not run"));
    EXPECT_DOUBLE_EQ(model.weight({TokenIndex{1}, ExpertId{1}}, trace.view()), 0.5);
    EXPECT_TRUE(std::isnan(model.weight({TokenIndex{1}, ExpertId{2}}, trace.view())));
}

TEST(TokenExpertModel, TextWithPercentSignsIsShownAsItIs) {
    TestTrace trace = smallTrace();
    trace.tokens[2].bytes = "%1 %2";
    EXPECT_TRUE(
        modelOf(trace).describe({TokenIndex{2}, ExpertId{2}}, trace.view()).startsWith("Token 2 “%1·%2” (generated)"));
}

TEST(TokenExpertModel, ALiveAxisGrowsInPowersOfTwo) {
    TokenExpertModel model = modelOf(smallTrace());
    EXPECT_EQ(model.axisEnd(false), 4);
    EXPECT_EQ(model.axisEnd(true), 64);
    const TestTrace longer = randomTrace(1, 4, 1, 5, 2, 1);
    model.setRun(facts());
    model.update(longer.view());
    EXPECT_EQ(model.axisEnd(true), 128);
}

TEST(TokenExpertModel, AGrowingRunEndsWithTheSamePicture) {
    const TestTrace trace = randomTrace(1, 4, 1, 5, 2, 2);
    const TokenExpertModel whole = modelOf(trace);
    TokenExpertModel grown;
    grown.setRun(facts());
    TestTrace part;
    for (std::size_t i = 0; i <= trace.selections.size(); i += 9) {
        part.selections.assign(trace.selections.begin(), trace.selections.begin() + static_cast<std::ptrdiff_t>(i));
        grown.update(part.view());
    }
    grown.update(trace.view());
    const Viewport all{QRectF(0, 0, whole.tokens(), 4), QSize(800, 100)};
    EXPECT_EQ(whole.map(all, trace.view(), Theme::dark()).images[0].image,
              grown.map(all, trace.view(), Theme::dark()).images[0].image);
}

TEST(TokenExpertModel, NoRunGivesNoPicture) {
    const TokenExpertModel model;
    EXPECT_TRUE(model.map(kWide, TraceView{}, Theme::light()).images.empty());
    EXPECT_FALSE(model.cellAt({0, 0}));
    EXPECT_EQ(model.axisEnd(false), 1);
}

}  // namespace
}  // namespace expertscope
