// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/desktop/command_registry.h"

#include <QLineEdit>

#include <gmock/gmock.h>

#include "app/desktop/command_palette.h"
#include "app/desktop/shortcut_sheet.h"

namespace expertscope {
namespace {

TEST(CommandRegistry, TellsAKeyThatMeansTwoThings) {
    CommandRegistry registry;
    registry.add("a", "Category", "A", {QKeySequence("Ctrl+A")}, [] {});
    registry.addViewKeys("b", "Category", "B", {QKeySequence("Ctrl+A")});
    ASSERT_EQ(registry.conflicts().size(), 1);
    EXPECT_EQ(registry.conflicts().first(), "Ctrl+A means a and b");
}

TEST(CommandRegistry, TellsAnIdThatIsUsedTwice) {
    CommandRegistry registry;
    registry.add("a", "Category", "A", {}, [] {});
    registry.add("a", "Category", "B", {}, [] {});
    EXPECT_EQ(registry.conflicts().size(), 1);
}

TEST(CommandRegistry, RunsACommandWhenItsActionIsTriggered) {
    CommandRegistry registry;
    int runs = 0;
    registry.add("a", "Category", "A", {}, [&] { ++runs; })->trigger();
    EXPECT_EQ(runs, 1);
}

TEST(ShortcutSheet, TellsEveryKeyThatTheRegistryHasAndNothingElse) {
    CommandRegistry registry;
    registry.add("a", "First", "Do this", {QKeySequence("Ctrl+A")}, [] {});
    registry.add("b", "First", "Without a key", {}, [] {});
    registry.addViewKeys("c", "Second", "Do that", {QKeySequence("W")});
    const QString html = ShortcutSheet::html(registry);
    EXPECT_TRUE(html.contains("Ctrl+A"));
    EXPECT_TRUE(html.contains("Do that"));
    EXPECT_FALSE(html.contains("Without a key"));
}

TEST(CommandPalette, FindsACommandByLettersInOrder) {
    EXPECT_TRUE(CommandPalette::matches("opse", "Session: Open session"));
    EXPECT_TRUE(CommandPalette::matches("OPEN", "Session: open"));
    EXPECT_FALSE(CommandPalette::matches("nepo", "Session: open"));
    EXPECT_TRUE(CommandPalette::matches("", "anything"));
}

TEST(CommandPalette, RunsWhatHoldsTheTypedTextBeforeWhatHoldsItsLetters) {
    CommandRegistry registry;
    QString ran;
    registry.add("letters", "Views", "Profile the heat map", {}, [&] { ran = "letters"; });
    registry.add("word", "Window", "Them all", {}, [&] { ran = "word"; });
    registry.add("disabled", "Window", "Them", {}, [&] { ran = "disabled"; })->setEnabled(false);
    CommandPalette palette(registry, nullptr);
    palette.setAttribute(Qt::WA_DeleteOnClose, false);
    auto* typed = palette.findChild<QLineEdit*>();
    typed->setText("them");
    emit typed->returnPressed();
    EXPECT_EQ(ran, "word");
}

}  // namespace
}  // namespace expertscope
