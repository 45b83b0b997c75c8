// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/base/selection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace expertscope {
namespace {

using Part = SelectionModel::Part;

class SelectionTest : public testing::Test {
protected:
    SelectionTest() {
        QObject::connect(&model, &SelectionModel::changed, [this] { ++changes; });
        QObject::connect(&model, &SelectionModel::hoverChanged, [this] { ++hovers; });
    }
    void select(int layer, int expert) {
        Selection next = model.current();
        next.layer = LayerIndex(layer);
        next.expert = ExpertId(expert);
        model.set(next);
    }
    SelectionModel model;
    int changes = 0, hovers = 0;
};

TEST_F(SelectionTest, TellsOnlyRealChanges) {
    select(5, 17);
    select(5, 17);
    EXPECT_EQ(changes, 1);
    EXPECT_EQ(model.current().layer, LayerIndex(5));
}

TEST_F(SelectionTest, OrdersPartsByTheirLastChange) {
    select(5, 17);
    Selection next = model.current();
    next.tokens = TokenRange{TokenIndex(40), TokenIndex(97)};
    model.set(next);
    next.layer = LayerIndex(2);
    model.set(next);
    EXPECT_THAT(model.order(), testing::ElementsAre(Part::Expert, Part::Tokens, Part::Layer));
}

TEST_F(SelectionTest, DropsTheNewestPartFirst) {
    select(5, 17);
    Selection next = model.current();
    next.tokens = TokenRange{TokenIndex(1), TokenIndex(3)};
    model.set(next);
    model.removeNewest();
    EXPECT_FALSE(model.current().tokens);
    EXPECT_TRUE(model.current().layer);
    model.removeNewest();
    model.removeNewest();
    model.removeNewest();
    EXPECT_EQ(model.current(), Selection{});
    EXPECT_TRUE(model.order().empty());
}

TEST_F(SelectionTest, UndoWalksBackThroughEverySelection) {
    select(1, 1);
    select(2, 2);
    model.clear();
    EXPECT_EQ(model.current(), Selection{});
    model.undo();
    EXPECT_EQ(model.current().expert, ExpertId(2));
    model.undo();
    EXPECT_EQ(model.current().expert, ExpertId(1));
    model.undo();
    EXPECT_EQ(model.current(), Selection{});
    const int before = changes;
    model.undo();
    EXPECT_EQ(changes, before);
}

TEST_F(SelectionTest, ChipsNameFirstAndLast) {
    Selection next;
    next.tokens = TokenRange{TokenIndex(40), TokenIndex(97)};
    next.layer = LayerIndex(5);
    next.time = TimeRange{Nanoseconds(1'000'000), Nanoseconds(13'300'000)};
    model.set(next);
    EXPECT_EQ(model.chipText(Part::Tokens), "tokens 40–96");
    EXPECT_EQ(model.chipText(Part::Layer), "layer 5");
    EXPECT_EQ(model.chipText(Part::Time), "time 12.3 ms");
    EXPECT_EQ(model.chipText(Part::Expert), "");
    next.tokens = TokenRange{TokenIndex(7), TokenIndex(8)};
    model.set(next);
    EXPECT_EQ(model.chipText(Part::Tokens), "token 7");
}

TEST_F(SelectionTest, HoverIsNoSelectionAndLeavesNoHistory) {
    Selection under;
    under.expert = ExpertId(3);
    model.hover(under);
    model.hover(under);
    EXPECT_EQ(hovers, 1);
    EXPECT_EQ(changes, 0);
    model.undo();
    EXPECT_EQ(model.hovered(), under);
}

}  // namespace
}  // namespace expertscope
