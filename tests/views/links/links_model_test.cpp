// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/links/links_model.h"

#include <cmath>
#include <map>

#include <gtest/gtest.h>

#include "made_by_job.h"
#include "profiler/analysis/kept_tables.h"
#include "scratch_session.h"
#include "views/base/theme.h"

namespace expertscope {
namespace {

const Viewport kViewport{QRectF(-0.6, 0, 8, 1), QSize(700, 300)};

void look(LinksModel& model, int layer, TransitionPairs pairs = TransitionPairs::First) {
    model.setLayerLinks(
        madeByJob([&](const JobControl& control) { return countLinks(*model.run(), layer, pairs, control); }));
    model.setInformation(
        madeByJob([&](const JobControl& control) { return findInformation(*model.run(), pairs, control); }));
}

void read(LinksModel& model, const ScratchSession& session) {
    model.setRun(madeByJob([&](const JobControl& control) {
        return readLinksRun(std::filesystem::path(session.file().toStdString()), RunId(1), control);
    }));
}

/// Two layers of four experts, top-2: choices[token][layer] are its two experts.
struct Choices {
    using Token = std::vector<std::vector<int>>;
    explicit Choices(const std::vector<Token>& choices, int topK = 2) : session(ScratchSession::Empty{}) {
        RunDescription run = ScratchSession::description();
        run.model.layers = static_cast<int>(choices[0].size());
        run.model.experts = 4;
        run.model.topK = topK;
        session.writer().beginRun(run);
        RequestRecord request;
        request.request = RequestIndex(0);
        request.promptTokens = 1;
        request.firstToken = TokenIndex(0);
        session.writer().append(request);
        std::vector<SelectionRecord> selections;
        for (int t = 0; t < static_cast<int>(choices.size()); ++t)
            for (int l = 0; l < run.model.layers; ++l)
                for (int slot = 0; slot < topK; ++slot) {
                    SelectionRecord selection;
                    selection.step = StepIndex(t);
                    selection.token = TokenIndex(t);
                    selection.layer = LayerIndex(l);
                    selection.slot = slot;
                    selection.expert = ExpertId(choices[static_cast<std::size_t>(t)][static_cast<std::size_t>(l)]
                                                       [static_cast<std::size_t>(slot)]);
                    selections.push_back(selection);
                }
        session.add(selections);
        session.writer().endRun({}, RunState::Complete);
        read(model, session);
        look(model, 0);
    }
    ScratchSession session;
    LinksModel model;
};

// Layer 0: expert 0 three times, 1 twice, 2 twice, 3 once; 0 with 1 twice. First choices go 0→2 twice, 0→3, 3→1.
const std::vector<Choices::Token> kFour{{{0, 1}, {2, 0}}, {{0, 1}, {2, 1}}, {{0, 2}, {3, 0}}, {{3, 2}, {1, 0}}};

TEST(LinksModel, ShowsWhichExpertsTheSameTokensChose) {
    const Choices c(kFour);
    const MatrixMap& together = c.model.together();
    ASSERT_EQ(together.rows, 4);
    EXPECT_TRUE(std::isnan(together.at(0, 0)));
    EXPECT_NEAR(together.at(0, 1), 2.0 / 3, 1e-12);
    EXPECT_NEAR(together.at(1, 0), 1, 1e-12);
    EXPECT_EQ(together.at(1, 3), 0);
    EXPECT_NEAR(c.model.randomShare(), 1.0 / 3, 1e-12);
    EXPECT_TRUE(c.model.togetherHeading().contains("if random 33.3 %")) << c.model.togetherHeading().toStdString();
}

TEST(LinksModel, ShowsLiftsAsPowersOfTwoAroundIndependence) {
    Choices c(kFour);
    c.model.setMeasure(LinksModel::Measure::Lift);
    const MatrixMap& together = c.model.together();
    EXPECT_TRUE(together.isSigned);
    EXPECT_EQ(together.low, -together.high);
    // 2 tokens · 4 ÷ (3 · 2)
    EXPECT_NEAR(together.at(0, 1), std::log2(8.0 / 6), 1e-12);
    EXPECT_LT(together.at(1, 3), together.low);
    EXPECT_EQ(c.model.measureText(1), "×2.00");
    // k = 2 of 4: the other is one of three, twice as rare as two independent choices of a half.
    EXPECT_NEAR(c.model.randomLift(), 2.0 / 3, 1e-12);
}

TEST(LinksModel, FollowsChoicesIntoTheNextLayer) {
    Choices c(kFour);
    const MatrixMap& next = c.model.next();
    EXPECT_NEAR(next.at(0, 2), 2.0 / 3, 1e-12);
    EXPECT_NEAR(next.at(0, 3), 1.0 / 3, 1e-12);
    EXPECT_EQ(next.at(3, 1), 1);
    EXPECT_TRUE(std::isnan(next.at(1, 0))) << "nothing followed an expert that was never first";
    EXPECT_EQ(c.model.randomProbability(), 0.25);
    look(c.model, 0, TransitionPairs::All);
    EXPECT_EQ(c.model.links()->next->total, 16);
    look(c.model, 1);
    EXPECT_EQ(c.model.nextMissing(), "Layer 1 is the last");
    EXPECT_EQ(c.model.next().rows, 0);
    EXPECT_TRUE(c.model.togetherMissing().isEmpty());
}

TEST(LinksModel, ComparesLoadsOfLayersWithThatOfExpertsNumberedAtRandom) {
    Choices c(kFour);
    // Loads 3 2 2 1 and 3 2 2 1.
    c.model.setLikeness(LinksModel::Likeness::Cosine);
    EXPECT_NEAR(c.model.likenesses().at(0, 1), 1, 1e-12);
    EXPECT_EQ(c.model.likenesses().at(1, 0), c.model.likenesses().at(0, 1));
    EXPECT_TRUE(std::isnan(c.model.likenesses().at(0, 0)));
    c.model.setLikeness(LinksModel::Likeness::AboveRandom);
    EXPECT_NEAR(c.model.likenesses().at(0, 1), 1 - 64.0 / (4 * 18), 1e-12);
}

TEST(LinksModel, DrawsInformationWithThatOfRandomPairs) {
    ScratchSession session{ScratchSession::Empty{}};
    writeSimulatedRun(session.writer(), {});
    LinksModel model;
    read(model, session);
    look(model, 2);
    const DrawList list = model.informationChart(kViewport, Theme::light(), {});
    ASSERT_EQ(model.information()->rows.size(), 7U);
    ASSERT_EQ(list.rects.size(), 7U);
    ASSERT_EQ(list.lines.size(), 7U);
    for (std::size_t i = 0; i < 7; ++i) {
        EXPECT_TRUE(list.lines[i].dashed);
        EXPECT_EQ(list.rects[i].rect.height(), model.information()->rows[i].bits);
        EXPECT_EQ(list.lines[i].from.y(), model.information()->rows[i].shuffledBits);
    }
    Selection selected;
    selected.layer = LayerIndex(3);
    EXPECT_GT(model.informationChart(kViewport, Theme::light(), selected).rects.size(), 7U);
}

TEST(LinksModel, KeepsInTheSessionWhatItFound) {
    const Choices c(kFour);
    for (const char* text : {"layer-similarity", "transition-information:pairs=first"})
        EXPECT_TRUE(keptTable(c.session.file().toStdString(), subjectOf(RunId(1)),
                              analysisInfo(analysisCatalogue(), text), text))
            << text;
}

TEST(LinksModel, SaysWhatAModelOfOneChoiceAndOneLayerCannotTell) {
    const Choices c({{{0}}, {{1}}}, 1);
    EXPECT_EQ(c.model.togetherMissing(), "This model chooses one expert a token");
    EXPECT_EQ(c.model.nextMissing(), "Layer 0 is the last");
    EXPECT_EQ(c.model.likenessMissing(), "Fewer than two layers routed tokens");
    EXPECT_EQ(c.model.informationMissing(), "No token was routed by two layers in a row");
    EXPECT_EQ(c.model.rowCount(), 0);
}

TEST(LinksModel, ItsTableHasEveryCellOfItsPictures) {
    const Choices c(kFour);
    ASSERT_EQ(c.model.rowCount(), 16 + 16 + 1 + 1);
    for (int row = 0; row < c.model.rowCount(); ++row)
        ASSERT_EQ(static_cast<int>(c.model.row(row).size()), c.model.columns().size());
    EXPECT_NEAR(c.model.row(1)[6].exact.toDouble(), 2.0 / 3, 1e-12);
    EXPECT_NEAR(c.model.row(16 + 2)[6].exact.toDouble(), 2.0 / 3, 1e-12);
}

}  // namespace
}  // namespace expertscope
