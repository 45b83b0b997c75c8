// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/diversity/diversity_model.h"

#include <algorithm>
#include <cmath>

#include <gmock/gmock.h>

#include "diversity_fixture.h"
#include "tests/engine/model/safetensors_writer.h"
#include "views/base/number_format.h"
#include "views/base/theme.h"

namespace expertscope {
namespace {

using testing::ElementsAre;

const Viewport kViewport{QRectF(-0.5, -0.1, 4, 1), QSize(700, 300)};

struct Read : RunOfCheckpoint {
    Read() : tables(path(), Checkpoint::open(checkpoint()).facts()) {}
    /// Of another model, in the same session.
    explicit Read(const std::filesystem::path& other) : tables(path(), Checkpoint::open(other).facts()) {}
    /// Everything that the view shows of a layer.
    void look(int layer) {
        model.setLayer(madeByJob([&](const JobControl& control) { return compareExperts(tables, layer, control); }));
        model.setPlanes(madeByJob([&](const JobControl& control) { return placeExperts(tables, layer, control); }));
        model.setCurves(madeByJob([&](const JobControl& control) { return compareLayers(tables, control); }));
    }
    void reorder() {
        const LayerAlikeness& of = *model.layer();
        model.setCompared(ComparedExperts::Reordered);
        model.setReordered(madeByJob([&](const JobControl& control) { return reorderExperts(tables, of, control); }));
        model.setReorderedLayers(
            madeByJob([&](const JobControl& control) { return reorderLayers(tables, of, control); }));
    }
    ModelTables tables;
    DiversityModel model;
};

/// numpy's rows of one matrix of one layer after reordering, all 36 pairs in order: [layer, matrix, a, b, neurons,
/// before, after, growth, tau].
std::vector<nlohmann::json> reorderedRows(int layer, const char* matrix) {
    std::vector<nlohmann::json> rows;
    for (const auto& row : numpyRows("neuron-matching:pairs=100"))
        if (row[0] == layer && row[1] == matrix) rows.push_back(row);
    return rows;
}

TEST(DiversityModel, ShowsTheMatricesThatNumpyGives) {
    Read read;
    read.look(1);
    for (const ComparedExperts what : {ComparedExperts::Matrices, ComparedExperts::Neurons}) {
        read.model.setCompared(what);
        int pairs = 0;
        for (const auto& row :
             numpyRows(what == ComparedExperts::Matrices ? "weight-similarity" : "neuron-similarity")) {
            if (row[0] != 1 || !row[1].is_number() || !row[2].is_number()) continue;
            ++pairs;
            const int a = row[1], b = row[2];
            for (std::size_t which = 1; which < 4; ++which) {
                EXPECT_NEAR(read.model.map(which).at(a, b), row[2 + which].get<double>(), 1e-5);
                EXPECT_EQ(read.model.map(which).at(a, b), read.model.map(which).at(b, a));
            }
            if (what == ComparedExperts::Matrices) continue;
            EXPECT_NEAR(read.model.map(0).at(a, b), row[6].get<double>(), 1e-5);
        }
        EXPECT_EQ(pairs, 36);
    }
    EXPECT_EQ(read.model.map(0).rows, 9);
    EXPECT_TRUE(std::isnan(read.model.map(1).at(4, 4))) << "an expert and itself";
}

TEST(DiversityModel, ShowsSharedExpertsBesideMeanNeurons) {
    Read read;
    read.look(0);
    EXPECT_EQ(read.model.namesOf(1).size(), 9) << "as wide as the routed ones only";
    read.model.setCompared(ComparedExperts::Neurons);
    EXPECT_EQ(read.model.map(1).rows, 10);
    EXPECT_EQ(read.model.namesOf(1).back(), "SE");
    EXPECT_FALSE(read.model.expertAt(1, 9));
    EXPECT_EQ(read.model.map(0).rows, 9) << "they have no router row";
    for (const auto& row : numpyRows("neuron-similarity"))
        if (row[0] == 0 && row[1] == 2 && row[2] == "SE") {
            EXPECT_NEAR(read.model.map(3).at(9, 2), row[5].get<double>(), 1e-5);
        }
}

TEST(DiversityModel, NamesTheExpertsThatStandApart) {
    Read read;
    read.look(0);
    EXPECT_TRUE(read.model.mapHeading(1).contains("apart: 3, 5")) << read.model.mapHeading(1).toStdString();
    EXPECT_TRUE(read.model.describe(1, {3, 0}).contains("expert 3 is unlike all others"));
    EXPECT_FALSE(read.model.describe(1, {0, 3}).contains("unlike all others"));
    const DrawList curve = read.model.curveChart(kViewport, Theme::light(), {});
    EXPECT_TRUE(
        std::ranges::any_of(curve.texts, [](const DrawText& text) { return text.at.x() == 0 && text.text == "3, 5"; }));
    EXPECT_TRUE(read.model.describeLayer(0).contains("apart: 3, 5"));
}

TEST(DiversityModel, SharesOneColourRangeAmongTheMatricesOfALayerOrOfAll) {
    Read read;
    read.look(3);
    const auto ends = [&](std::size_t which) {
        return std::pair(read.model.map(which).low, read.model.map(which).high);
    };
    double low = 1, high = -1;
    for (const auto& row : numpyRows("weight-similarity")) {
        if (row[0] != 3) continue;
        for (int m = 3; m < 6; ++m) {
            low = std::min(low, row[m].get<double>());
            high = std::max(high, row[m].get<double>());
        }
    }
    EXPECT_NEAR(ends(1).first, low, 1e-5);
    EXPECT_NEAR(ends(1).second, high, 1e-5);
    EXPECT_EQ(ends(1), ends(2));
    EXPECT_EQ(ends(1), ends(3));
    EXPECT_NE(ends(0), ends(1)) << "router rows have a bar of their own";
    read.model.setRange(DiversityModel::Range::AllLayers);
    EXPECT_EQ(ends(1), ends(3));
    EXPECT_GT(ends(1).second, 0.8) << "of the first layer";
    EXPECT_LE(ends(1).first, low + 1e-5);
}

TEST(DiversityModel, DrawsTheMeanOfEveryLayerAndTheLineOfChance) {
    Read read;
    read.look(0);
    Selection selected;
    selected.layer = LayerIndex(2);
    const DrawList list = read.model.curveChart(kViewport, Theme::dark(), selected);
    // Four measures of four layers.
    EXPECT_EQ(list.rects.size(), 16U);
    const auto marks = std::ranges::count_if(list.rects, [](const DrawRect& rect) { return rect.tag == 2; });
    EXPECT_EQ(marks, 4);
    double mean = 0;
    for (const auto& row : numpyRows("layer-diversity"))
        if (row[0] == 2 && row[1] == "matrix_up") mean = row[3];
    EXPECT_TRUE(std::ranges::any_of(list.rects, [&](const DrawRect& rect) {
        return rect.tag == 2 && std::abs(rect.rect.center().y() - mean) < 1e-5;
    }));
    EXPECT_TRUE(std::ranges::any_of(
        list.lines, [](const DrawLine& line) { return line.dashed && line.from.y() == 0 && line.to.y() == 0; }));
    EXPECT_TRUE(std::ranges::any_of(list.lines, [](const DrawLine& line) {
        return line.from.x() == 2 && line.to.x() == 2 && line.color == Theme::dark().highlight();
    }));
    EXPECT_EQ(read.model.layers(), 4);
}

TEST(DiversityModel, PlacesExpertsOnTwoComponents) {
    Read read;
    read.model.setMatrix(ExpertMatrix::Up);
    read.look(0);
    const QRectF range = read.model.planeRange();
    const Viewport viewport{range, QSize(400, 300)};
    Selection selected;
    selected.expert = ExpertId(3);
    const DrawList list = read.model.planeChart(viewport, Theme::light(), selected, {});
    int placed = 0;
    for (const auto& row : numpyRows("expert-pca")) {
        if (row[0] != 0 || row[1] != "up") continue;
        for (const DrawRect& rect : list.rects) {
            if (rect.tag < 0 || std::abs(rect.rect.center().x() - row[3].get<double>()) > 1e-3) continue;
            EXPECT_NEAR(rect.rect.center().y(), row[4].get<double>(), 1e-3);
            ++placed;
        }
    }
    EXPECT_EQ(placed, 9);
    EXPECT_TRUE(std::ranges::any_of(list.texts, [](const DrawText& text) { return text.text == "3"; }));
    EXPECT_EQ(std::ranges::count(list.rects, Theme::light().highlight(), &DrawRect::color), 2);
    const auto& points = read.model.planes()->planes[0].points;
    const auto found = read.model.pointAt({points[3][0], points[3][1]}, viewport);
    ASSERT_TRUE(found);
    EXPECT_EQ(read.model.expertOfPoint(*found), 3);
    EXPECT_FALSE(read.model.pointAt(range.topLeft(), viewport));
}

TEST(DiversityModel, FitsRouterRowsToMeanNeurons) {
    Read read;
    read.look(1);
    read.model.setMatrix(ExpertMatrix::Gate);
    double r = 0;
    for (const auto& row : numpyRows("gate-regression"))
        if (row[0] == 1 && row[1] == "gate") r = row[3];
    EXPECT_NEAR(read.model.layer()->fits[1].r, r, 1e-5);
    Selection selected;
    selected.layer = LayerIndex(1);
    selected.expert = ExpertId(4);
    const Viewport viewport{read.model.scatterRange(), QSize(400, 300)};
    const DrawList list = read.model.scatterChart(viewport, Theme::light(), selected);
    EXPECT_EQ(list.rects.size(), 36U);
    EXPECT_EQ(std::ranges::count(list.rects, Theme::light().highlight(), &DrawRect::color), 8) << "pairs of expert 4";
    EXPECT_EQ(list.lines.size(), 2U);
    EXPECT_EQ(read.model.scatterLegend(Theme::light(), selected).size(), 4U);
    selected.layer = LayerIndex(2);
    EXPECT_EQ(read.model.scatterLegend(Theme::light(), selected).size(), 3U) << "an expert of another layer";
}

TEST(DiversityModel, TellsEverythingInItsTable) {
    Read read;
    read.look(0);
    // 36 pairs of four measures, four layers of four, nine points of three matrices, three fits.
    EXPECT_EQ(read.model.rowCount(), 4 * 36 + 16 + 27 + 3);
    for (int row = 0; row < read.model.rowCount(); ++row)
        ASSERT_EQ(read.model.row(row).size(), static_cast<std::size_t>(read.model.columns().size()));
    const auto last = read.model.row(35);
    EXPECT_EQ(last[3].text, "7");
    EXPECT_EQ(last[4].text, "8");
    EXPECT_EQ(last[5].exact.toDouble(), read.model.map(0).at(7, 8));
}

TEST(DiversityModel, ShowsTheMatricesThatScipyReorders) {
    Read read;
    read.look(1);
    read.reorder();
    for (std::size_t which = 1; which < 4; ++which) {
        const auto rows = reorderedRows(1, nameOf(kExpertMatrices[which - 1]));
        ASSERT_EQ(rows.size(), 36U);
        double sum = 0;
        for (std::size_t pair = 0; pair < rows.size(); ++pair) {
            const int a = rows[pair][2], b = rows[pair][3];
            const double after = rows[pair][6];
            sum += after;
            EXPECT_NEAR(read.model.map(which).at(a, b), after, 1e-5);
            EXPECT_EQ(read.model.map(which).at(a, b), read.model.map(which).at(b, a));
            // The table has the router's 36 pairs first.
            const auto cells = read.model.row(static_cast<int>(36 * which + pair));
            EXPECT_EQ(cells[0].text, "similarity of two experts, reordered");
            EXPECT_NEAR(cells[5].exact.toDouble(), after, 1e-5);
            EXPECT_NEAR(cells[13].exact.toDouble(), rows[pair][5].get<double>(), 1e-5);
            EXPECT_NEAR(cells[15].exact.toDouble(), rows[pair][8].get<double>(), 1e-9);
        }
        EXPECT_TRUE(read.model.mapHeading(which).contains("reordered\nmean " + numberText(sum / 36)))
            << read.model.mapHeading(which).toStdString();
        EXPECT_TRUE(std::isnan(read.model.map(which).at(4, 4))) << "an expert and itself";
    }
    for (const auto& row : numpyRows("neuron-similarity"))
        if (row[0] == 1 && row[1] == 2 && row[2] == 7) {
            EXPECT_NEAR(read.model.map(0).at(2, 7), row[6].get<double>(), 1e-5) << "router rows have no neurons";
        }
}

TEST(DiversityModel, TellsOfAPairWhatReorderingChanged) {
    Read read;
    read.look(2);
    read.reorder();
    const auto rows = reorderedRows(2, "gate");
    const auto row = std::ranges::find_if(rows, [](const auto& each) { return each[2] == 1 && each[3] == 6; });
    ASSERT_NE(row, rows.end());
    const QString text = read.model.describe(2, {6, 1});
    for (const int column : {5, 6, 7, 8})
        EXPECT_TRUE(text.contains(numberText((*row)[column].get<double>()))) << column << ": " << text.toStdString();
    EXPECT_TRUE(text.contains("12 neurons of each")) << text.toStdString();
    EXPECT_TRUE(read.model.describe(2, {3, 3}).contains("gate matrices: the same"));
    EXPECT_TRUE(read.model.counted().contains("36 of 36 pairs of this layer and 28 of 36 pairs of each layer"))
        << read.model.counted().toStdString();
}

TEST(DiversityModel, DrawsAFewReorderedPairsOfEveryLayer) {
    Read read;
    read.look(0);
    const DrawList before = read.model.curveChart(kViewport, Theme::light(), {});
    read.reorder();
    const DrawList list = read.model.curveChart(kViewport, Theme::light(), {});
    EXPECT_EQ(list.rects.size(), 16U);
    for (int layer = 0; layer < 4; ++layer) {
        const auto rows = reorderedRows(layer, "down");
        double sum = 0, least = 1, most = -1;
        for (std::size_t n = 0; n < 28; ++n) {
            const double after = rows[n * 36 / 28][6];
            sum += after;
            least = std::min(least, after);
            most = std::max(most, after);
        }
        EXPECT_TRUE(std::ranges::any_of(list.rects, [&](const DrawRect& rect) {
            return rect.tag == layer && std::abs(rect.rect.center().y() - sum / 28) < 1e-5;
        })) << layer;
        EXPECT_TRUE(read.model.describeLayer(layer).contains(
            QStringLiteral("down: %1 (%2 to %3), reordered")
                .arg(numberText(sum / 28), numberText(least), numberText(most))))
            << read.model.describeLayer(layer).toStdString();
    }
    EXPECT_TRUE(read.model.curveHeading().contains("28 of 36 pairs"));
    read.model.setCompared(ComparedExperts::Matrices);
    EXPECT_EQ(read.model.curveChart(kViewport, Theme::light(), {}).lines.size(), before.lines.size());
}

/// Of random numbers: 561 pairs of 160 neurons each, of which a part is drawn.
TEST(DiversityModel, SaysWhichPairsWereNotDrawnAndWhatChanceReaches) {
    const test::TemporaryFolder folder;
    test::writeTinyQwen3Moe(folder.path(), {.layers = 1, .experts = 34, .hidden = 96, .expertWidth = 160});
    Read read(folder.path());
    read.look(0);
    read.reorder();
    const ReorderedSample& sample = read.model.reordered()->sample;
    EXPECT_EQ(sample.pairs, 496);
    EXPECT_EQ(sample.ofPairs, 561);
    EXPECT_EQ(sample.neurons, 128);
    int drawn = 0, left = 0;
    double sum = 0;
    for (int a = 0; a < 34; ++a) {
        for (int b = 0; b < a; ++b) {
            const double value = read.model.map(3).at(a, b);
            const bool isLeft = std::isnan(value);
            ++(isLeft ? left : drawn);
            if (!isLeft) sum += value;
            EXPECT_EQ(read.model.describe(3, {a, b}).contains("not among the 496 of 561 pairs"), isLeft);
        }
    }
    EXPECT_EQ(drawn, 496);
    EXPECT_EQ(left, 65);
    EXPECT_NEAR(sum / drawn, sample.ifRandom, 0.01) << "these weights are random numbers, too";
    EXPECT_GT(sample.ifRandom, 0.2);
    EXPECT_TRUE(read.model.mapHeading(3).contains("496 of 561 pairs")) << read.model.mapHeading(3).toStdString();
    int told = 0;
    for (int row = 0; row < 4 * 561; ++row) {
        const auto cells = read.model.row(row);
        if (!cells[0].text.contains("not drawn")) continue;
        ++told;
        EXPECT_FALSE(cells[5].exact.isValid());
    }
    EXPECT_EQ(told, 3 * left);
    const DrawList curve = read.model.curveChart(kViewport, Theme::light(), {});
    EXPECT_TRUE(std::ranges::any_of(
        curve.lines, [&](const DrawLine& line) { return line.dashed && line.from.y() == sample.ifRandom; }));
}

TEST(DiversityModel, ForgetsTheReorderedExpertsOfAnotherLayer) {
    Read read;
    read.look(0);
    read.reorder();
    const int rows = read.model.rowCount();
    read.look(2);
    EXPECT_FALSE(read.model.reordered());
    EXPECT_EQ(read.model.map(1).rows, 0);
    EXPECT_EQ(read.model.map(0).rows, 9);
    EXPECT_EQ(read.model.mapHeading(1), "Layer 2 · up, reordered");
    EXPECT_EQ(read.model.rowCount(), rows - 3 * 36);
    for (int row = 0; row < read.model.rowCount(); ++row)
        ASSERT_EQ(read.model.row(row).size(), static_cast<std::size_t>(read.model.columns().size()));
}

TEST(DiversityModel, HasNothingBeforeAnythingWasRead) {
    const DiversityModel model;
    EXPECT_EQ(model.rowCount(), 0);
    EXPECT_EQ(model.layers(), 0);
    EXPECT_TRUE(model.curveChart(kViewport, Theme::light(), {}).rects.empty());
    EXPECT_TRUE(model.planeChart(kViewport, Theme::light(), {}, {}).rects.empty());
    EXPECT_TRUE(model.scatterChart(kViewport, Theme::light(), {}).rects.empty());
    EXPECT_TRUE(model.describeLayer(0).isEmpty());
}

}  // namespace
}  // namespace expertscope
