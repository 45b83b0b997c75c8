// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/norms/activation_model.h"

#include <gtest/gtest.h>

#include "made_by_job.h"
#include "norms_fixture.h"
#include "views/base/theme.h"

namespace expertscope {
namespace {

const Viewport kRows{QRectF(0, 0, 1, 4), QSize(100, 200)};

struct Active {
    explicit Active(const NormedRun& run) {
        read = madeByJob([&](const JobControl& control) { return readNormsRun(run.path(), run.id, control); });
        model.setRun(read);
    }
    void look(int layer, int token) {
        model.setActivations(
            madeByJob([&](const JobControl& control) { return findActivations(*read, layer, token, control); }));
    }
    std::shared_ptr<const NormsRun> read;
    ActivationModel model;
};

TEST(ActivationModel, MapsEveryNeuronOfEveryExpert) {
    NormedRun run(kThreeTokens);
    run.captureDeep();
    run.keepActivations();
    Active active(run);
    EXPECT_TRUE(active.model.kept());
    EXPECT_FALSE(active.model.has(1, 2));
    active.look(1, 2);
    EXPECT_TRUE(active.model.has(1, 2));
    const MatrixMap& map = active.model.map();
    ASSERT_EQ(map.rows, 4);
    ASSERT_EQ(map.columns, 3);
    EXPECT_FLOAT_EQ(static_cast<float>(map.at(1, 2)), 2.12F);
    EXPECT_EQ(map.at(3, 2), -5);
    EXPECT_EQ(map.low, -map.high) << "0 has the middle colour";
    EXPECT_EQ(map.high, 5) << "the 995th of 1000, here the last";
    EXPECT_TRUE(active.model.heading().contains("Layer 1 · token 2 “word”")) << active.model.heading().toStdString();
    EXPECT_TRUE(active.model.heading().contains("4 experts × 3 neurons"));
    EXPECT_TRUE(active.model.heading().contains("100 %")) << active.model.heading().toStdString();
    EXPECT_TRUE(active.model.missing().isEmpty());
    EXPECT_EQ(active.model.describe({3, 2}),
              "Layer 1 · expert 3, chosen with weight 0.600\nneuron 2: activation −5.00");
    EXPECT_TRUE(active.model.describe({0, 1}).contains("expert 0, not chosen"));
}

TEST(ActivationModel, MarksTheExpertsThatTheTokenChoseWithTheirWeights) {
    NormedRun run(kThreeTokens);
    run.keepActivations();
    Active active(run);
    active.look(1, 1);
    const DrawList list = active.model.weights(kRows, Theme::light());
    ASSERT_EQ(list.rects.size(), 2U);
    EXPECT_EQ(list.rects[0].tag, 2);
    EXPECT_FLOAT_EQ(static_cast<float>(list.rects[0].rect.width()), 0.4F);
    EXPECT_EQ(list.rects[1].rect.center().y(), 3.5);
    EXPECT_EQ(list.texts.size(), 2U);
    EXPECT_FLOAT_EQ(static_cast<float>(active.model.weightEnd()), 0.6F);
    EXPECT_TRUE(active.model.chosen(3));
    EXPECT_FALSE(active.model.chosen(0));
    const Viewport low{kRows.range, QSize(100, 2)};
    EXPECT_EQ(active.model.weights(low, Theme::light()).rects[0].rect.height(), 6) << "three pixels";
    EXPECT_TRUE(active.model.weights(low, Theme::light()).texts.empty());
}

TEST(ActivationModel, SaysHowActivationsBecomeKnown) {
    NormedRun run(kThreeTokens);
    run.captureDeep();
    const Active sums(run);
    EXPECT_FALSE(sums.model.kept());
    EXPECT_EQ(sums.model.missing(), "No activations of single tokens");
    EXPECT_TRUE(sums.model.missingHint().contains("deep:raw")) << sums.model.missingHint().toStdString();
    run.keepActivations();
    Active active(run);
    active.look(0, 1);
    EXPECT_TRUE(active.model.has(0, 1)) << "asked for, though there is nothing";
    EXPECT_EQ(active.model.missing(), "Layer 0 has no activations of token 1");
    EXPECT_EQ(active.model.missingHint(), "The deep capture kept those of the tokens 1 to 2 in the layers 1 to 1.");
    EXPECT_EQ(active.model.rowCount(), 0);
}

TEST(ActivationModel, TellsEveryNeuronInItsTable) {
    NormedRun run(kThreeTokens);
    run.keepActivations();
    Active active(run);
    active.look(1, 1);
    ASSERT_EQ(active.model.rowCount(), 12);
    const std::vector<TableCell> row = active.model.row(11, 2);
    ASSERT_EQ(row.size(), 5U + static_cast<std::size_t>(ActivationModel::columns().size()));
    EXPECT_EQ(row[1].text, "1");
    EXPECT_EQ(row[2].text, "3");
    EXPECT_EQ(row[5].text, "1") << "the token";
    EXPECT_EQ(row[6].text, "2");
    EXPECT_EQ(row[7].exact.toDouble(), -5);
}

}  // namespace
}  // namespace expertscope
