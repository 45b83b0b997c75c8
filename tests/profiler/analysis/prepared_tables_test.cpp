// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/analysis/prepared_tables.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace expertscope {
namespace {

using testing::ElementsAre;

/// Two layers of three experts, two a token: a request of a prompt of two tokens and one that is generated, then a
/// prompt of one.
struct Recorded {
    Recorded() {
        model.layers = 2;
        model.experts = 3;
        model.topK = 2;
        model.fingerprint = "abc";
        model.name = "tiny";
        token(0, Phase::Prefill);
        token(0, Phase::Prefill);
        token(0, Phase::Decode);
        token(1, Phase::Prefill);
        choose(0, 0, {0, 1});
        choose(1, 0, {1, 2});
        choose(0, 1, {0, 1});
        choose(1, 1, {2, 0});
        choose(2, 0, {1, 0});
        choose(2, 1, {0, 1});
        choose(3, 0, {2, 1});
        choose(3, 1, {1, 2});
    }
    void token(int request, Phase phase) {
        TokenRecord record;
        record.token = TokenIndex(static_cast<std::int32_t>(tokens.size()));
        record.request = RequestIndex(request);
        record.phase = phase;
        tokens.push_back(record);
    }
    void choose(int token, int layer, std::vector<int> experts) {
        for (const int expert : experts) {
            SelectionRecord record;
            record.token = TokenIndex(token);
            record.layer = LayerIndex(layer);
            record.expert = ExpertId(expert);
            selections.push_back(record);
        }
    }
    TraceView view() const { return {selections, {}, tokens, {}, {}}; }
    RunDescription run() const {
        RunDescription description;
        description.model = model;
        description.policy = "on-demand";
        description.group = "g";
        return description;
    }

    ModelFacts model;
    std::vector<TokenRecord> tokens;
    std::vector<SelectionRecord> selections;
};

TEST(PreparedTables, PopularityCountsChoices) {
    const PreparedTable table = countPopularity(Recorded().view(), Recorded().model);
    EXPECT_THAT(table.shape, ElementsAre(2, 3));
    EXPECT_THAT(table.values, ElementsAre(2, 4, 2, 3, 3, 2));
}

TEST(PreparedTables, WhatWasDroppedCountsNowhere) {
    Recorded recorded;
    recorded.selections[0].action = SelectionAction::Dropped;
    EXPECT_THAT(countPopularity(recorded.view(), recorded.model).values, ElementsAre(1, 4, 2, 3, 3, 2));
    EXPECT_EQ(countCoActivation(recorded.view(), recorded.model).values[1], 1);
    EXPECT_EQ(countActivations(recorded.view(), recorded.model).values[0], 0);
}

TEST(PreparedTables, CoActivationCountsPairsOfATokenBothWays) {
    const PreparedTable table = countCoActivation(Recorded().view(), Recorded().model);
    EXPECT_THAT(table.shape, ElementsAre(2, 3, 3));
    EXPECT_THAT(table.values, ElementsAre(0, 2, 0, 2, 0, 2, 0, 2, 0,    // layer 0: 01 12 10 21
                                          0, 2, 1, 2, 0, 1, 1, 1, 0));  // layer 1: 01 20 01 12
}

TEST(PreparedTables, ActivationsAreAMatrixOfEachPromptAndOfEachContinuation) {
    const PreparedTable table = countActivations(Recorded().view(), Recorded().model);
    EXPECT_THAT(table.shape, ElementsAre(3, 2, 3));
    EXPECT_THAT(table.values, ElementsAre(1, 2, 1, 2, 1, 1,    // the prompt's two tokens
                                          1, 1, 0, 1, 1, 0,    // the generated one
                                          0, 1, 1, 0, 1, 1));  // the second request
}

TEST(PreparedTables, ARunIsCountedOnce) {
    const Recorded recorded;
    PreparedData data("abc", "tiny");
    EXPECT_TRUE(collectTable("popularity", recorded.view(), recorded.run(), RunId(1), data));
    EXPECT_FALSE(collectTable("popularity", recorded.view(), recorded.run(), RunId(1), data));
    EXPECT_THAT(data.table("popularity", {2, 3}).values, ElementsAre(2, 4, 2, 3, 3, 2));
    EXPECT_TRUE(collectTable("popularity", recorded.view(), recorded.run(), RunId(2), data));
    EXPECT_THAT(data.table("popularity", {2, 3}).values, ElementsAre(4, 8, 4, 6, 6, 4));
    EXPECT_TRUE(collectTable("eamc", recorded.view(), recorded.run(), RunId(1), data));
    EXPECT_EQ(data.find("eamc")->shape[0], 3);
}

TEST(PreparedTables, AnEmptyRunLeavesNoTable) {
    Recorded recorded;
    recorded.selections.clear();
    PreparedData data("abc", "tiny");
    EXPECT_TRUE(collectTable("eamc", recorded.view(), recorded.run(), RunId(1), data));
    EXPECT_EQ(data.find("eamc"), nullptr);
    EXPECT_TRUE(isCollected("co_activation"));
    EXPECT_FALSE(isCollected("sensitivity"));
}

}  // namespace
}  // namespace expertscope
