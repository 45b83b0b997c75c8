// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/desktop/selection_chips.h"

#include <QPushButton>

#include <gtest/gtest.h>

#include "views/base/selection.h"

namespace expertscope {
namespace {

TEST(SelectionChips, ShowEveryPartInTheOrderInWhichItWasSet) {
    SelectionModel selection;
    SelectionChips chips(selection);
    EXPECT_TRUE(chips.texts().isEmpty());
    Selection s;
    s.layer = LayerIndex(5);
    selection.set(s);
    s.tokens = TokenRange{TokenIndex(40), TokenIndex(97)};
    selection.set(s);
    EXPECT_EQ(chips.texts(), (QStringList{"layer 5", "tokens 40–96"}));
}

TEST(SelectionChips, RemoveTheirPartWhenClicked) {
    SelectionModel selection;
    SelectionChips chips(selection);
    Selection s;
    s.layer = LayerIndex(5);
    s.expert = ExpertId(17);
    selection.set(s);
    for (auto* chip : chips.findChildren<QPushButton*>("chip")) {
        if (chip->property("chipText") == "layer 5") {
            chip->click();
            break;
        }
    }
    EXPECT_FALSE(selection.current().layer);
    EXPECT_EQ(selection.current().expert, ExpertId(17));
    EXPECT_EQ(chips.texts(), QStringList{"expert 17"});
}

}  // namespace
}  // namespace expertscope
