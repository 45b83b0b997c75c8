// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/experts/expert_map_model.h"

#include <QAbstractItemModelTester>
#include <cmath>
#include <set>

#include <gtest/gtest.h>

#include "tests/profiler/analysis/trace_fixture.h"
#include "views/base/theme.h"
#include "views/experts/expert_table.h"

namespace expertscope {
namespace {

ModelFacts facts(int layers, int experts, int topK) {
    ModelFacts model;
    model.layers = layers;
    model.experts = experts;
    model.topK = topK;
    model.gateDiversity.assign(static_cast<std::size_t>(layers), 0.5F);
    return model;
}

/// Layer 0: expert 1 chosen by tokens 0 1 2, expert 0 by 0 1, expert 3 by 2. Layer 1 is not reached by any.
TestTrace smallTrace() {
    TestTrace trace;
    trace.selections = {
        selection(0, 0, 0, 0, 1, 0.8F, Outcome::Miss), selection(0, 0, 0, 1, 0, 0.2F, Outcome::Miss),
        selection(1, 1, 0, 0, 1, 0.6F, Outcome::Hit),  selection(1, 1, 0, 1, 0, 0.4F, Outcome::InFlight),
        selection(2, 2, 0, 0, 1, 0.7F, Outcome::Hit),  selection(2, 2, 0, 1, 3, 0.3F, Outcome::Miss)};
    for (int t = 0; t < 3; ++t)
        trace.tokens.push_back(token(t, 0, Phase::Decode));
    return trace;
}

ExpertMapModel modelOf(const TestTrace& trace, const ModelFacts& model) {
    ExpertMapModel map;
    map.setRun(model);
    map.update(trace.view());
    return map;
}

const Viewport kWide{QRectF(0, 0, 4, 2), QSize(400, 100)};

TEST(ExpertMapModel, ACellIsAPixelOfTheImageInTheColourOfItsValue) {
    const ExpertMapModel map = modelOf(smallTrace(), facts(2, 4, 2));
    EXPECT_EQ(map.scale(), (std::pair{0.0, 3.0}));
    const DrawList list = map.map(kWide, Theme::light());
    ASSERT_EQ(list.images.size(), 1U);
    EXPECT_EQ(list.images[0].rect, QRectF(0, 0, 4, 2));
    const QImage& image = list.images[0].image;
    ASSERT_EQ(image.size(), QSize(4, 2));
    EXPECT_EQ(image.pixel(1, 0), Theme::light().sequential(1.0));
    EXPECT_EQ(image.pixel(0, 0), Theme::light().sequential(2.0 / 3));
    EXPECT_EQ(image.pixel(2, 0), Theme::light().sequential(0)) << "never chosen, in a layer that was recorded";
    EXPECT_EQ(image.pixel(1, 1), Theme::light().noData().rgb()) << "nothing recorded in this layer";
}

TEST(ExpertMapModel, NumbersStandInAllCellsThatHaveValuesOrInNone) {
    const ExpertMapModel map = modelOf(smallTrace(), facts(2, 4, 2));
    const DrawList list = map.map(kWide, Theme::dark());
    ASSERT_EQ(list.texts.size(), 4U);
    EXPECT_EQ(list.texts[1].text, "3");
    EXPECT_EQ(list.texts[1].at, QPointF(1.5, 0.5));
    EXPECT_TRUE(map.map({QRectF(0, 0, 4, 2), QSize(20, 100)}, Theme::dark()).texts.empty()) << "too narrow";
    EXPECT_TRUE(map.map({QRectF(0, 0, 4, 2), QSize(400, 16)}, Theme::dark()).texts.empty()) << "too low";
}

TEST(ExpertMapModel, ExpertsNarrowerThanAPixelAreJoinedByTheirMaximum) {
    TestTrace trace;
    for (int t = 0; t < 5; ++t)
        trace.selections.push_back(selection(t, t, 0, 0, 6));
    trace.selections.push_back(selection(5, 5, 0, 0, 0));
    const ExpertMapModel map = modelOf(trace, facts(1, 8, 1));
    const Viewport narrow{QRectF(0, 0, 8, 1), QSize(3, 100)};
    EXPECT_EQ(map.perColumn(narrow), 3);
    const DrawList list = map.map(narrow, Theme::light());
    ASSERT_EQ(list.images[0].image.size(), QSize(3, 1));
    EXPECT_EQ(list.images[0].rect, QRectF(0, 0, 9, 1));
    EXPECT_EQ(list.images[0].image.pixel(2, 0), Theme::light().sequential(1));
    EXPECT_EQ(list.images[0].image.pixel(1, 0), Theme::light().sequential(0));
}

TEST(ExpertMapModel, EveryMeasureOfAHandMadeCell) {
    ExpertMapModel map = modelOf(smallTrace(), facts(2, 4, 2));
    const ExpertMapModel::Cell one{LayerIndex{0}, ExpertId{1}};
    EXPECT_DOUBLE_EQ(map.value(ExpertMeasure::Selections, one), 3);
    EXPECT_DOUBLE_EQ(map.value(ExpertMeasure::Share, one), 0.5);
    EXPECT_NEAR(map.value(ExpertMeasure::MeanWeight, one), 0.7, 1e-6);
    EXPECT_DOUBLE_EQ(map.value(ExpertMeasure::MeanNorm, one), 1);
    EXPECT_DOUBLE_EQ(map.value(ExpertMeasure::HitRate, one), 2.0 / 3);
    EXPECT_TRUE(std::isnan(map.value(ExpertMeasure::UsesPerLoad, one)));
    EXPECT_DOUBLE_EQ(map.value(ExpertMeasure::ReuseDistance, one), 1);
    const QString text = map.describe(one);
    EXPECT_TRUE(text.startsWith("Layer 0 · expert 1\n3 selections, 50.0 % of the layer's assignments"))
        << text.toStdString();
    EXPECT_TRUE(text.contains("3 accesses: ● 2 hit · ◐ 0 in flight · ○ 1 missed")) << text.toStdString();
}

TEST(ExpertMapModel, TheFilterIsTheSharedSelectionAndIsSaid) {
    Selection selection;
    selection.tokens = TokenRange{TokenIndex{1}, TokenIndex{3}};
    ExpertMapModel map;
    map.setRun(facts(2, 4, 2));
    map.setFilter(filterOf(selection));
    map.update(smallTrace().view());
    EXPECT_DOUBLE_EQ(map.value(ExpertMeasure::Selections, {LayerIndex{0}, ExpertId{1}}), 2);
    EXPECT_TRUE(map.counted().contains("Only tokens 1–2, as selected.")) << map.counted().toStdString();
}

TEST(ExpertMapModel, ALockedScaleStaysUntilAnotherMeasureIsChosen) {
    TestTrace trace = smallTrace();
    ExpertMapModel map = modelOf(trace, facts(2, 4, 2));
    map.setScaleLocked(true);
    for (int t = 3; t < 40; ++t)
        trace.selections.push_back(selection(t, t, 0, 0, 1));
    map.update(trace.view());
    EXPECT_EQ(map.scale(), (std::pair{0.0, 3.0}));
    map.setMeasure(ExpertMeasure::HitRate);
    EXPECT_FALSE(map.scaleLocked());
    EXPECT_EQ(map.scale(), (std::pair{0.0, 1.0}));
}

TEST(ExpertMapModel, StripsShowDiversityAndTheRepeatRateBesideItsRandomBaseline) {
    const ExpertMapModel map = modelOf(smallTrace(), facts(2, 4, 2));
    const Viewport strip{QRectF(0, 0, 1, 2), QSize(100, 200)};
    const DrawList diversity = map.diversityStrip(strip, Theme::light());
    ASSERT_EQ(diversity.rects.size(), 2U);
    EXPECT_EQ(diversity.rects[1].rect, QRectF(0, 1.15, 0.5, 0.7));
    EXPECT_EQ(diversity.texts[0].text, "0.500");
    EXPECT_EQ(map.repeatStrip(strip, Theme::light()).texts[0].text, "75.0 %");
    // Layer 0: {1 0}{1 0} share both, {1 0}{1 3} one: 3 of 4. Layer 1 has no data: no bar.
    const DrawList repeat = map.repeatStrip(strip, Theme::light());
    ASSERT_EQ(repeat.rects.size(), 1U);
    EXPECT_EQ(repeat.rects[0].rect, QRectF(0, 0.15, 0.75, 0.7));
    EXPECT_EQ(repeat.texts[1].text, "–");
    ASSERT_EQ(repeat.lines.size(), 1U);
    EXPECT_TRUE(repeat.lines[0].dashed);
    EXPECT_EQ(repeat.lines[0].from, QPointF(0.5, 0)) << "k / E";
}

TEST(ExpertMapModel, SelectionOutlinesItsCellRowOrColumn) {
    const ExpertMapModel map = modelOf(smallTrace(), facts(2, 4, 2));
    Selection cell{{}, {}, LayerIndex{1}, ExpertId{2}};
    DrawList list = map.marks(kWide, Theme::light(), cell, {});
    ASSERT_EQ(list.rects.size(), 2U);
    EXPECT_EQ(list.rects[0].rect, QRectF(2, 1, 1, 1));
    EXPECT_EQ(list.rects[0].color, Theme::light().highlight());
    EXPECT_EQ(list.rects[0].pattern, Pattern::Outline);
    EXPECT_EQ(map.marks(kWide, Theme::light(), {{}, {}, LayerIndex{1}, {}}, {}).rects[0].rect, QRectF(0, 1, 4, 1));
    EXPECT_EQ(map.marks(kWide, Theme::light(), {{}, {}, {}, ExpertId{2}}, {}).rects[0].rect, QRectF(2, 0, 1, 2));
    EXPECT_TRUE(map.marks(kWide, Theme::light(), {{}, {}, LayerIndex{9}, ExpertId{2}}, {}).rects.size() == 2U);
}

TEST(ExpertMapModel, CellsLieUnderTheirCoordinates) {
    const ExpertMapModel map = modelOf(smallTrace(), facts(2, 4, 2));
    EXPECT_EQ(map.cellAt({3.9, 1.1}), (ExpertMapModel::Cell{LayerIndex{1}, ExpertId{3}}));
    EXPECT_FALSE(map.cellAt({4.0, 0.5}));
    EXPECT_FALSE(map.cellAt({-0.1, 0.5}));
    EXPECT_FALSE(map.cellAt({0.5, 2.0}));
}

TEST(ExpertMapModel, AGrowingRunEndsWithTheSamePictureAsAFinishedOne) {
    const TestTrace trace = randomTrace(3, 8, 2, 3, 4, 21);
    ExpertMapModel whole = modelOf(trace, facts(3, 8, 2)), grown;
    grown.setRun(facts(3, 8, 2));
    TestTrace part;
    part.requests = trace.requests;
    for (std::size_t i = 0; i < trace.selections.size(); i += 7) {
        part.selections.assign(trace.selections.begin(), trace.selections.begin() + static_cast<std::ptrdiff_t>(i));
        grown.update(part.view());
    }
    grown.update(trace.view());
    for (const ExpertMeasure measure : kExpertMeasures) {
        whole.setMeasure(measure);
        grown.setMeasure(measure);
        EXPECT_EQ(whole.map(kWide, Theme::light()).images[0].image, grown.map(kWide, Theme::light()).images[0].image)
            << measureName(measure).toStdString();
    }
}

TEST(ExpertMapModel, NoRunGivesNoPicture) {
    const ExpertMapModel map;
    EXPECT_TRUE(map.empty());
    EXPECT_TRUE(map.map(kWide, Theme::light()).images.empty());
    EXPECT_TRUE(map.repeatStrip(kWide, Theme::light()).rects.empty());
    EXPECT_FALSE(map.cellAt({0, 0}));
}

TEST(ExpertTable, HoldsEveryMeasureOfEveryExpert) {
    const ExpertMapModel map = modelOf(smallTrace(), facts(2, 4, 2));
    ExpertTable table(map);
    const QAbstractItemModelTester tester(&table, QAbstractItemModelTester::FailureReportingMode::Fatal);
    table.reset();
    ASSERT_EQ(table.rowCount(), 8);
    EXPECT_EQ(table.headerData(3, Qt::Horizontal).toString(), "share of assignments");
    EXPECT_EQ(table.data(table.index(1, 3)).toString(), "50.0 %");
    EXPECT_EQ(table.data(table.index(1, 3), Qt::EditRole).toDouble(), 0.5);
    EXPECT_EQ(table.data(table.index(4, 2)).toString(), "–");
    EXPECT_EQ(table.data(table.index(4, 0)).toInt(), 1);
}

TEST(ExpertMeasures, ShortTextsFitSmallCells) {
    EXPECT_EQ(measureShortText(ExpertMeasure::Selections, 7), "7");
    EXPECT_EQ(measureShortText(ExpertMeasure::Selections, 1234), "1.2k");
    EXPECT_EQ(measureShortText(ExpertMeasure::Selections, 12345), "12.3k");
    EXPECT_EQ(measureShortText(ExpertMeasure::Share, 0.0312), "3.1");
    EXPECT_EQ(measureShortText(ExpertMeasure::HitRate, 0.666), "67");
    EXPECT_EQ(measureShortText(ExpertMeasure::MeanWeight, 0.314), "0.31");
    EXPECT_EQ(measureShortText(ExpertMeasure::MeanWeight, std::nan("")), "");
    EXPECT_DOUBLE_EQ(niceCeiling(0.31), 0.4);
    EXPECT_DOUBLE_EQ(niceCeiling(200), 200);
    EXPECT_DOUBLE_EQ(niceCeiling(81), 100);
    EXPECT_DOUBLE_EQ(niceCeiling(0), 1);
}

}  // namespace
}  // namespace expertscope
