// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/norms/norms_model.h"

#include <algorithm>
#include <cmath>

#include <gtest/gtest.h>

#include "made_by_job.h"
#include "norms_fixture.h"
#include "views/base/theme.h"

namespace expertscope {
namespace {

const Viewport kViewport{QRectF(-0.6, 0, 2.2, 10), QSize(600, 300)};

struct Read {
    explicit Read(const NormedRun& run, int token = 0) {
        model.setRun(madeByJob([&](const JobControl& control) { return readNormsRun(run.path(), run.id, control); }));
        look(token);
    }
    void look(int token) {
        model.setToken(madeByJob([&](const JobControl& control) { return findToken(*model.run(), token, control); }));
    }
    NormsModel model;
};

TEST(NormsModel, MapsEachMeasureOverLayersAndExperts) {
    const NormedRun run(kThreeTokens);
    Read read(run);
    const auto at = [&](NormsModel::Measure measure, int layer, int expert) {
        read.model.setMeasure(measure);
        return read.model.map().at(layer, expert);
    };
    EXPECT_EQ(at(NormsModel::Measure::MeanNorm, 0, 0), 3);
    EXPECT_EQ(at(NormsModel::Measure::Reap, 0, 0), (0.75 * 2 + 0.5 * 4) / 2);
    EXPECT_EQ(at(NormsModel::Measure::ExpertActivationNorm, 0, 0), 6);
    EXPECT_EQ(at(NormsModel::Measure::LargestNorm, 0, 0), 4);
    EXPECT_EQ(at(NormsModel::Measure::WeightedFrequency, 0, 0), 1.25);
    EXPECT_EQ(at(NormsModel::Measure::Frequency, 0, 0), 2);
    EXPECT_EQ(at(NormsModel::Measure::MeanNorm, 1, 2), 3.5);
    read.model.setMeasure(NormsModel::Measure::MeanNorm);
    EXPECT_EQ(read.model.map().high, 8) << "expert 2 of layer 0";
    EXPECT_EQ(read.model.map().low, 0);
    EXPECT_TRUE(read.model.describe({0, 0}).contains("chosen by 2 tokens"));
}

TEST(NormsModel, RanksChosenExpertsWithoutADeepCapture) {
    const NormedRun run(kThreeTokens);
    Read read(run);
    // Layer 0: the first token agrees, of the second the weights are equal and of the third the order is reversed.
    const MatrixMap& ranks = read.model.ranks();
    ASSERT_EQ(ranks.rows, 2);
    EXPECT_NEAR(ranks.at(0, 0), 1.0 / 3, 1e-12);
    EXPECT_NEAR(ranks.at(0, 1), 2.0 / 3, 1e-12);
    EXPECT_TRUE(read.model.ranksHeading().contains("chosen experts")) << read.model.ranksHeading().toStdString();
    EXPECT_TRUE(read.model.ranksHeading().contains("3 tokens"));
    read.model.setLayer(1);
    EXPECT_NEAR(read.model.ranks().at(1, 1), 2.0 / 3, 1e-12);
    read.model.setAllRanks(true);
    EXPECT_NEAR(read.model.ranks().at(1, 1), 3.0 / 6, 1e-12);
    EXPECT_TRUE(read.model.ranksHeading().startsWith("All layers"));
    EXPECT_TRUE(read.model.counted().contains("--record deep")) << "how to get the rest";
}

TEST(NormsModel, DrawsATokensNormsBesideItsWeights) {
    const NormedRun run(kThreeTokens);
    Read read(run, 1);
    ASSERT_EQ(read.model.bars().size(), 2U);
    const auto [normEnd, weightEnd] = read.model.barEnds();
    EXPECT_NEAR(normEnd, 1.15 * 8, 1e-9);
    EXPECT_NEAR(weightEnd, 1.15 * 0.5, 1e-9);
    Selection selected;
    selected.expert = ExpertId(2);
    const DrawList list = read.model.tokenChart(kViewport, Theme::light(), selected, {});
    const auto of = [&](Meaning meaning) {
        std::vector<double> heights;
        for (const DrawRect& rect : list.rects)
            if (rect.tag >= 0 && rect.color == Theme::light().color(meaning)) heights.push_back(rect.rect.height());
        return heights;
    };
    EXPECT_EQ(of(Meaning::Compute), (std::vector<double>{4, 8}));
    const auto weights = of(Meaning::TransferDemand);
    ASSERT_EQ(weights.size(), 2U);
    EXPECT_NEAR(weights[0], 8, 1e-6) << "as high on its axis as the largest norm on its own";
    EXPECT_EQ(std::ranges::count(list.rects, Theme::light().highlight(), &DrawRect::color), 2);
    EXPECT_TRUE(read.model.tokenHeading().contains("token 1 “word”")) << read.model.tokenHeading().toStdString();
    EXPECT_TRUE(read.model.describeBar(1).contains("expert 2"));
    EXPECT_FALSE(read.model.barsOfAll());
}

TEST(NormsModel, OrdersALayersExpertsByTheirImportance) {
    const NormedRun run(kThreeTokens);
    const Read read(run);
    const auto rows = read.model.importance();
    ASSERT_EQ(rows.size(), 4U);
    // Mean of weight × norm: expert 2 4, expert 0 1.75, expert 1 (0.25 + 2.7) / 2, expert 3 0.6.
    EXPECT_EQ(rows[0][0].text, "2");
    EXPECT_EQ(rows[1][0].text, "0");
    EXPECT_EQ(rows[2][0].text, "1");
    EXPECT_EQ(rows[3][0].text, "3");
    EXPECT_NEAR(rows[2][2].exact.toDouble(), 1.475, 1e-6);
}

TEST(NormsModel, ShowsAllExpertsOfADeepCapture) {
    NormedRun run(kThreeTokens);
    run.captureDeep();
    Read read(run);
    EXPECT_EQ(read.model.bars().size(), 2U) << "layer 0 was not taken";
    EXPECT_FALSE(read.model.ranksOfAll());
    read.model.setLayer(1);
    ASSERT_EQ(read.model.bars().size(), 4U);
    EXPECT_TRUE(read.model.barsOfAll());
    EXPECT_EQ(read.model.bars()[0].norm, 4);
    EXPECT_FALSE(read.model.bars()[0].chosen);
    EXPECT_TRUE(read.model.bars()[3].chosen);
    EXPECT_TRUE(read.model.ranksOfAll());
    ASSERT_EQ(read.model.ranks().rows, 4);
    EXPECT_EQ(read.model.ranks().at(0, 3), 1) << "the smallest score has the largest norm";
    EXPECT_TRUE(read.model.ranksHeading().contains("−1.00")) << read.model.ranksHeading().toStdString();
    EXPECT_TRUE(read.model.counted().contains("Deep capture"));
    // Scores of experts that were not chosen count, too: expert 0 has a tenth of the token's.
    EXPECT_EQ(read.model.importanceColumns().size(), 9);
    for (const auto& row : read.model.importance())
        EXPECT_NEAR(row[7].exact.toDouble(), 0.1 * (row[0].exact.toInt() + 1), 1e-9);
    read.look(1);
    EXPECT_EQ(read.model.bars().size(), 2U) << "token 1 is no example: its own choice is shown";
}

TEST(NormsModel, SaysWhatARunWithoutNormsLacks) {
    std::vector<NormedRun::Token> tokens = kThreeTokens;
    for (NormedRun::Token& token : tokens)
        for (auto& layer : token)
            for (NormedRun::Choice& choice : layer)
                choice.norm = kNoNorm;
    const NormedRun run(tokens, false);
    Read read(run);
    EXPECT_EQ(read.model.mapMissing(), "This run recorded no output norms");
    EXPECT_EQ(read.model.tokenMissing(), "This run recorded no output norms");
    EXPECT_EQ(read.model.ranksMissing(), "This run recorded no output norms");
    read.model.setMeasure(NormsModel::Measure::Frequency);
    EXPECT_TRUE(read.model.mapMissing().isEmpty());
    EXPECT_EQ(read.model.map().at(0, 0), 2);
}

TEST(NormsModel, TellsEverythingInItsTable) {
    const NormedRun run(kThreeTokens);
    const Read read(run);
    EXPECT_EQ(read.model.rowCount(), 2 * 4 + 4);
    for (int row = 0; row < read.model.rowCount(); ++row)
        ASSERT_EQ(read.model.row(row).size(), static_cast<std::size_t>(read.model.columns().size()));
    EXPECT_EQ(read.model.row(4)[1].text, "1");
    EXPECT_EQ(read.model.row(8 + 1)[9].text, "1");
    EXPECT_EQ(read.model.row(8 + 1)[10].text, "2");
}

}  // namespace
}  // namespace expertscope
