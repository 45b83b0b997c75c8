// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/tokens/token_text_model.h"

#include <cmath>

#include <gmock/gmock.h>

#include "tests/profiler/analysis/trace_fixture.h"
#include "views/base/colour_science.h"
#include "views/base/theme.h"

namespace expertscope {
namespace {

using ::testing::ElementsAre;

constexpr double kMargin = 8, kGap = 4, kPitch = 20;  // line height 16

/// Ten pixels a character.
TextMetrics tenPixels() {
    return {[](const QString& text) { return 10.0 * static_cast<double>(text.size()); }, 16};
}

TestTrace textOf(const std::vector<std::string>& tokens, int prompt = 0) {
    TestTrace trace;
    for (std::size_t i = 0; i < tokens.size(); ++i) {
        const int index = static_cast<int>(i);
        trace.tokens.push_back(token(index, 0, index < prompt ? Phase::Prefill : Phase::Decode));
        trace.tokens.back().bytes = tokens[i];
        trace.tokens.back().logProbability = index < prompt ? std::nanf("") : -1.0F;
    }
    return trace;
}

ModelFacts facts(int layers = 2, int experts = 8, int topK = 2) {
    ModelFacts model;
    model.layers = layers;
    model.experts = experts;
    model.topK = topK;
    return model;
}

TokenTextModel laidOut(const TestTrace& trace, double width = 1000) {
    TokenTextModel model;
    model.setRun(facts());
    model.update(trace.view());
    model.layOut(trace.view(), width, tenPixels());
    return model;
}

DrawList drawAll(const TokenTextModel& model, const TestTrace& trace, const Selection& selected = {},
                 const Selection& hovered = {}) {
    return model.draw(trace.view(), Theme::light(), 0, model.height(), selected, hovered);
}

/// The first `count` tokens of a trace.
TestTrace beginningOf(const TestTrace& whole, std::size_t count) {
    TestTrace trace = whole;
    trace.tokens.resize(count);
    return trace;
}

TEST(TokenTextModel, LaysAGrowingTextOutAsIfItHadBeenThereAtOnce) {
    const char* const kWords[] = {" the",
                                  " expert",
                                  "s",
                                  ",\n",
                                  " f\xC3",
                                  "\xBC",
                                  "r",
                                  " bytes\n\n",
                                  ".",
                                  "\xF0\x9F",
                                  "\x98",
                                  "\x80",
                                  "unbreakablyLongWord",
                                  " a"};
    std::vector<std::string> words;
    for (int i = 0; i < 240; ++i)
        words.emplace_back(kWords[(i * 7 + i / 5) % std::size(kWords)]);
    TestTrace whole = textOf(words);
    for (int i = 0; i < 3; ++i) {
        RequestRecord request;
        request.request = RequestIndex(i);
        request.firstToken = TokenIndex(i * 80);
        whole.requests.push_back(request);
    }
    for (const double width : {90.0, 240.0, 1000.0}) {
        const TokenTextModel atOnce = laidOut(whole, width);
        TokenTextModel growing;
        growing.setRun(facts());
        for (std::size_t count = 1; count <= words.size(); count += 1 + count % 3) {
            const TestTrace part = beginningOf(whole, count);
            growing.update(part.view());
            growing.layOut(part.view(), width, tenPixels());
        }
        growing.layOut(whole.view(), width, tenPixels());
        EXPECT_EQ(growing.height(), atOnce.height());
        for (std::size_t i = 0; i < words.size(); ++i) {
            const TokenIndex token(static_cast<std::int32_t>(i));
            ASSERT_EQ(growing.boxOf(token), atOnce.boxOf(token)) << "token " << i << " at width " << width;
        }
        const auto texts = [&](const TokenTextModel& model) {
            QStringList list;
            for (const DrawText& text : model.draw(whole.view(), Theme::light(), 0, 1e6, {}, {}).texts)
                list << text.text;
            return list;
        };
        EXPECT_EQ(texts(growing), texts(atOnce));
    }
}

TEST(DisplayTexts, JoinsCharactersThatTokensShareAndShowsWhatIsInvisible) {
    const TestTrace trace = textOf({"a", "\xE2\x82", "\xAC", "\xFF", "x\n", "\t", "\xF0\x9F", "\x98", "b", "\x01"});
    EXPECT_THAT(displayTexts(trace.tokens),
                ElementsAre("a", "€", "·", "\uFFFD", "x⏎\n", "⇥", "\uFFFD", "·", "b", "\\x01"));
}

TEST(DisplayTexts, NoCharacterIsJoinedOverARequest) {
    TestTrace trace = textOf({"\xC3", "\xA9"});
    trace.tokens[1].request = RequestIndex{1};
    EXPECT_THAT(displayTexts(trace.tokens), ElementsAre("\uFFFD", "\uFFFD"));
    trace.tokens[1].request = RequestIndex{0};
    EXPECT_THAT(displayTexts(trace.tokens), ElementsAre("é", "·"));
}

TEST(TokenTextModel, TokensStandSideBySideAndWordsGoToTheNextLineWhole) {
    // 8 + 4·10 = 48, " bb" to 78; "cc" would reach 98 > 92: the word " bbcc" moves down.
    const TestTrace trace = textOf({"aaaa", " bb", "cc"});
    const TokenTextModel model = laidOut(trace, 100);
    EXPECT_EQ(model.boxOf(TokenIndex{0}), QRectF(kMargin, kGap, 40, 16));
    EXPECT_EQ(model.boxOf(TokenIndex{1}), QRectF(kMargin, kGap + kPitch, 30, 16));
    EXPECT_EQ(model.boxOf(TokenIndex{2}), QRectF(kMargin + 30, kGap + kPitch, 20, 16));
    EXPECT_DOUBLE_EQ(model.height(), kGap + 2 * kPitch);
}

TEST(TokenTextModel, AWordLongerThanTheLineIsBroken) {
    const TokenTextModel model = laidOut(textOf({"aaaa", "bbbb", "cccc"}), 100);
    EXPECT_EQ(model.boxOf(TokenIndex{1}).topLeft(), QPointF(kMargin + 40, kGap));
    EXPECT_EQ(model.boxOf(TokenIndex{2}).topLeft(), QPointF(kMargin, kGap + kPitch));
    EXPECT_DOUBLE_EQ(laidOut(textOf({std::string(50, 'x')}), 100).boxOf(TokenIndex{0}).width(), 84);
}

TEST(TokenTextModel, NewlinesBreakTheLineAfterTheirMark) {
    const TestTrace trace = textOf({"a\n\nb", "c"});
    const TokenTextModel model = laidOut(trace);
    const DrawList list = drawAll(model, trace);
    ASSERT_EQ(list.texts.size(), 4U);
    EXPECT_EQ(list.texts[0].text, "a⏎");
    EXPECT_EQ(list.texts[1].text, "⏎");
    EXPECT_EQ(list.texts[1].at.y() - list.texts[0].at.y(), kPitch);
    EXPECT_EQ(list.texts[2].text, "b");
    EXPECT_EQ(model.boxOf(TokenIndex{1}).topLeft(), QPointF(kMargin + 10, kGap + 2 * kPitch));
}

TEST(TokenTextModel, RequestsHaveAHeadingOfTheirOwn) {
    TestTrace trace = textOf({"a", "b"});
    trace.requests.resize(2);
    trace.requests[0].label = "english";
    trace.requests[0].promptTokens = 1;
    trace.requests[1].request = RequestIndex{1};
    trace.requests[1].firstToken = TokenIndex{1};
    const TokenTextModel model = laidOut(trace);
    const DrawList list = drawAll(model, trace);
    ASSERT_EQ(list.texts.size(), 4U);
    EXPECT_EQ(list.texts[2].text, "Request 1 · english · 1 prompt tokens");
    EXPECT_EQ(model.boxOf(TokenIndex{0}).top(), kGap + kPitch);
    EXPECT_GT(model.boxOf(TokenIndex{1}).top(), kGap + 3 * kPitch);
}

TEST(TokenTextModel, TokensHaveTheirTopExpertsColourAndPromptsAPalerOne) {
    TestTrace trace = textOf({"a", "b", "c"}, 1);
    trace.selections = {selection(0, 0, 1, 0, 5), selection(0, 0, 1, 1, 3), selection(1, 1, 1, 0, 5),
                        selection(1, 1, 1, 1, 2)};
    TokenTextModel model = laidOut(trace);
    model.setLayer(LayerIndex{1});
    const Theme& theme = Theme::light();
    const DrawList list = drawAll(model, trace);
    ASSERT_EQ(list.rects.size(), 3U);
    EXPECT_EQ(list.rects[1].color, theme.expert(5));
    EXPECT_EQ(list.rects[1].tag, 1);
    EXPECT_NE(list.rects[0].color, theme.expert(5)) << "a prompt token";
    EXPECT_NE(list.rects[0].color, theme.noData());
    EXPECT_EQ(list.rects[2].color, theme.noData()) << "never run";
    for (std::size_t i = 0; i < 3; ++i)
        EXPECT_GE(contrast(list.texts[i].color, list.rects[i].color), 4.5);
}

TEST(TokenTextModel, OutcomesAreToldByColourAndByABar) {
    TestTrace trace = textOf({"aa", "bb", "cc"});
    trace.selections = {selection(0, 0, 0, 0, 5), selection(0, 0, 0, 1, 3, 0.5F, Outcome::Miss),
                        selection(1, 1, 0, 0, 5), selection(1, 1, 0, 1, 3, 0.5F, Outcome::InFlight),
                        selection(2, 2, 0, 0, 5)};
    TokenTextModel model = laidOut(trace);
    model.setColour(TokenColour::Outcome);
    const DrawList list = drawAll(model, trace);
    ASSERT_EQ(list.rects.size(), 5U);
    EXPECT_EQ(list.rects[0].color, Theme::light().color(Meaning::Miss));
    EXPECT_DOUBLE_EQ(list.rects[1].rect.width(), 19) << "the whole token";
    EXPECT_EQ(list.rects[2].color, Theme::light().color(Meaning::InFlight));
    EXPECT_DOUBLE_EQ(list.rects[3].rect.width(), 9.5);
    EXPECT_EQ(list.rects[4].color, Theme::light().color(Meaning::Hit));
}

TEST(TokenTextModel, LogProbabilitiesHaveNoColourForPromptTokens) {
    const TestTrace trace = textOf({"a", "b"}, 1);
    TokenTextModel model = laidOut(trace);
    model.setColour(TokenColour::LogProbability);
    const DrawList list = drawAll(model, trace);
    EXPECT_EQ(list.rects[1].color, QColor(Theme::light().sequential(1 - 1.0 / 8)));
}

TEST(TokenTextModel, SelectedTokensAreFramedAndUsesOfTheSelectedExpertUnderlined) {
    TestTrace trace = textOf({"a", "b", "c"});
    trace.selections = {selection(0, 0, 0, 0, 5), selection(1, 1, 0, 0, 4), selection(1, 1, 0, 1, 5)};
    const TokenTextModel model = laidOut(trace);
    const Selection selected{{}, TokenRange{TokenIndex{1}, TokenIndex{3}}, LayerIndex{0}, ExpertId{5}};
    int bars = 0, frames = 0;
    for (const DrawRect& rect : drawAll(model, trace, selected).rects) {
        if (rect.color != Theme::light().highlight()) continue;
        ++(rect.pattern == Pattern::Outline ? frames : bars);
    }
    EXPECT_EQ(bars, 2);
    EXPECT_EQ(frames, 4) << "two tokens, two lines thick";
    Selection otherLayer = selected;
    otherLayer.layer = LayerIndex{1};
    otherLayer.tokens.reset();
    for (const DrawRect& rect : drawAll(model, trace, otherLayer).rects)
        EXPECT_NE(rect.color, Theme::light().highlight());
}

TEST(TokenTextModel, TokensAreFoundUnderThePointerAndBesideIt) {
    const TestTrace trace = textOf({"aaaa", " bb", "cc", "\n", "d"});
    const TokenTextModel model = laidOut(trace, 100);
    EXPECT_EQ(model.tokenAt({12, 10}), TokenIndex{0});
    EXPECT_EQ(model.tokenAt({40, kGap + kPitch + 3}), TokenIndex{2});
    EXPECT_FALSE(model.tokenAt({90, 10}));
    EXPECT_EQ(model.tokenAt({90, 10}, true), TokenIndex{0});
    EXPECT_EQ(model.tokenAt({90, 5000}, true), TokenIndex{4});
    EXPECT_FALSE(model.tokenAt({90, 5000}));
}

TEST(TokenTextModel, HoverShowsEveryLayersChoices) {
    TestTrace trace = textOf({"a", "<b>"});
    trace.selections = {selection(0, 1, 0, 0, 5, 0.75F), selection(0, 1, 0, 1, 3, 0.25F, Outcome::Miss),
                        selection(0, 1, 1, 0, 7, 1.0F, Outcome::InFlight)};
    const TokenTextModel model = laidOut(trace);
    const QString html = model.describe(TokenIndex{1}, trace.view(), Theme::light());
    EXPECT_TRUE(html.contains("token 1</b> “&lt;b&gt;” (generated, log-probability"));
    EXPECT_TRUE(html.contains("▸ layer 0"));
    EXPECT_TRUE(html.contains("layer 1"));
    EXPECT_TRUE(html.contains("0.75"));
    EXPECT_TRUE(html.contains("○") && html.contains("◐") && html.contains("●"));
    EXPECT_TRUE(html.contains("<td>–</td>")) << "layer 1 has one choice only";
    EXPECT_TRUE(model.describe(TokenIndex{0}, trace.view(), Theme::light()).contains("not run"));
}

TEST(TokenTextModel, TheLegendNamesTheMostUsedExpertsOfTheLayer) {
    TestTrace trace = textOf({"a", "b", "c"});
    trace.selections = {selection(0, 0, 0, 0, 5), selection(1, 1, 0, 0, 5), selection(2, 2, 0, 0, 1),
                        selection(2, 2, 0, 1, 4)};
    const auto most = laidOut(trace).mostUsed(2);
    ASSERT_EQ(most.size(), 2U);
    EXPECT_EQ(most[0], (std::pair{ExpertId{5}, 0.5}));
    EXPECT_EQ(most[1], (std::pair{ExpertId{1}, 0.25}));
}

TEST(TokenTextModel, OnlyVisibleLinesAreDrawnOfALongText) {
    std::vector<std::string> words(10'000, " word");
    const TestTrace trace = textOf(words);
    const TokenTextModel model = laidOut(trace, 1000);
    const DrawList list = model.draw(trace.view(), Theme::light(), 2000, 2600, {}, {});
    EXPECT_GT(list.rects.size(), 400U);
    EXPECT_LT(list.rects.size(), 700U);
    for (const DrawRect& rect : list.rects) {
        EXPECT_GE(rect.rect.bottom(), 2000);
        EXPECT_LE(rect.rect.top(), 2600);
    }
}

TEST(TokenTextModel, EmptyRunsHaveNothingToShow) {
    const TokenTextModel model;
    EXPECT_TRUE(model.draw(TraceView{}, Theme::dark(), 0, 100, {}, {}).rects.empty());
    EXPECT_FALSE(model.tokenAt({0, 0}, true));
    EXPECT_TRUE(model.mostUsed(5).empty());
    EXPECT_TRUE(model.boxOf(TokenIndex{0}).isEmpty());
}

}  // namespace
}  // namespace expertscope
