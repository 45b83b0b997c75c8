// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/cache/residency_map.h"

#include <gtest/gtest.h>

#include "profiler/analysis/run_routing.h"
#include "views/base/theme.h"

namespace expertscope {
namespace {

/// 2 layers × 4 experts, 6 steps: a prompt of three tokens, then one token a step.
std::shared_ptr<const CacheRun> made() {
    auto run = std::make_shared<CacheRun>();
    ModelFacts& model = run->run.description.model;
    model.layers = 2;
    model.experts = 4;
    model.topK = 1;
    run->run.description.slots = 3;
    run->firstTokens = {0, 3, 4, 5, 6, 7, 8};
    const auto change = [](ResidencyChange what, ResidencyReason why, int step, int by, int layer, int expert) {
        ResidencyRecord record;
        record.step = StepIndex(step);
        record.layer = LayerIndex(by);
        record.subject = record.cause = {LayerIndex(layer), ExpertId(expert)};
        record.change = what;
        record.reason = why;
        return record;
    };
    const std::vector<ResidencyRecord> records{
        change(ResidencyChange::Admit, ResidencyReason::Preload, -1, -1, 0, 0),
        change(ResidencyChange::Admit, ResidencyReason::Demand, 0, 1, 1, 2),    // looked up from step 1 on
        change(ResidencyChange::Admit, ResidencyReason::Prefetch, 2, 0, 1, 3),  // from step 2 on
        change(ResidencyChange::Evict, ResidencyReason::Demand, 3, 0, 0, 0),    // to step 3
    };
    run->residency = ResidencyTimeline(2, 4);
    run->residency.update({.selections = {}, .residency = records, .tokens = {}, .spans = {}, .requests = {}});
    for (int layer = 0; layer < 2; ++layer)
        run->residents.push_back(run->residency.residentCounts(LayerIndex(layer), run->steps()));
    return run;
}

TEST(ResidencyMap, CountsTheResidentsOfEachLayerStepByStep) {
    ResidencyMap map;
    map.setRun(made());
    EXPECT_EQ(map.columns(), 6);
    EXPECT_EQ(map.rows(), 2);
    EXPECT_EQ(map.evenSpread(), 1.5);
    // Around the even spread, down to nothing.
    EXPECT_TRUE(map.isSigned());
    EXPECT_EQ(map.scale(), std::pair(0.0, 3.0));
    const DrawList list = map.map({QRectF(0, 0, 6, 2), QSize(600, 200)}, Theme::light());
    ASSERT_EQ(list.images.size(), 1U);
    const QImage& image = list.images[0].image;
    ASSERT_EQ(image.size(), QSize(6, 2));
    const int expected[2][6] = {{1, 1, 1, 1, 0, 0}, {0, 1, 2, 2, 2, 2}};
    for (int layer = 0; layer < 2; ++layer)
        for (int step = 0; step < 6; ++step)
            EXPECT_EQ(image.pixel(step, layer), Theme::light().signedMap((expected[layer][step] - 1.5) / 1.5))
                << layer << ' ' << step;
}

TEST(ResidencyMap, MeansStandForStepsThatShareAPixel) {
    ResidencyMap map;
    map.setRun(made());
    const Viewport narrow{QRectF(0, 0, 6, 2), QSize(3, 200)};
    EXPECT_EQ(map.perColumn(narrow), 2);
    const DrawList list = map.map(narrow, Theme::light());
    ASSERT_EQ(list.images[0].image.width(), 3);
    EXPECT_EQ(list.images[0].image.pixel(0, 1), Theme::light().signedMap(2 * (0.5 / 3) - 1));
}

TEST(ResidencyMap, CountsFromNothingWhereNoBudgetIsKnown) {
    auto run = std::make_shared<CacheRun>(*made());
    run->run.description.slots = 0;
    ResidencyMap map;
    map.setRun(run);
    EXPECT_FALSE(map.isSigned());
    EXPECT_EQ(map.scale(), std::pair(0.0, 2.0));
    const DrawList list = map.map({QRectF(0, 0, 6, 2), QSize(600, 200)}, Theme::light());
    EXPECT_EQ(list.images[0].image.pixel(1, 1), Theme::light().sequential(0.5));
}

TEST(ResidencyMap, ShowsWhatBroughtTheExpertsOfALayer) {
    ResidencyMap map;
    map.setRun(made());
    map.setLayer(LayerIndex(1));
    EXPECT_EQ(map.rows(), 4);
    const DrawList list = map.map({QRectF(0, 0, 6, 4), QSize(600, 200)}, Theme::light());
    ASSERT_EQ(list.rects.size(), 2U);
    EXPECT_EQ(list.rects[0].rect.left(), 1);
    EXPECT_EQ(list.rects[0].rect.right(), 6);
    EXPECT_EQ(list.rects[0].pattern, Pattern::Solid);
    EXPECT_EQ(list.rects[1].rect.left(), 2);
    EXPECT_EQ(list.rects[1].pattern, Pattern::DiagonalHatch);
    EXPECT_TRUE(map.describe({StepIndex(3), 3}).contains("prefetched"));
    EXPECT_TRUE(map.describe({StepIndex(1), 3}).contains("not resident"));
}

TEST(ResidencyMap, TranslatesBetweenStepsAndTheSharedTokens) {
    ResidencyMap map;
    map.setRun(made());
    EXPECT_EQ(map.tokensOf(StepIndex(0), StepIndex(1)), (TokenRange{TokenIndex(0), TokenIndex(4)}));
    Selection selected;
    selected.tokens = TokenRange{TokenIndex(1), TokenIndex(4)};  // in the prompt's step and the one after it
    const DrawList marks = map.marks({QRectF(0, 0, 6, 2), QSize(600, 200)}, Theme::light(), selected, {});
    ASSERT_FALSE(marks.rects.empty());
    EXPECT_EQ(marks.rects[0].rect, QRectF(0, 0, 2, 2));
}

TEST(ResidencyMap, SaysThatNothingWasRecorded) {
    auto run = std::make_shared<CacheRun>();
    run->firstTokens = {0, 1};
    ResidencyMap map;
    map.setRun(run);
    EXPECT_EQ(map.missing(), "This run recorded no residency");
    EXPECT_TRUE(map.map({QRectF(0, 0, 1, 1), QSize(100, 100)}, Theme::light()).images.empty());
    EXPECT_FALSE(map.cellAt({0.5, 0.5}));
}

}  // namespace
}  // namespace expertscope
