// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/desktop/progress_lines.h"

#include <gtest/gtest.h>

namespace expertscope {
namespace {

TEST(ProgressLines, ReadTheBeginningOfARun) {
    const auto event = parseProgressLine(
        R"({"event":"run","run":1,"runs":3,"run_id":4,"policy":"on-demand","budget_bytes":7077888,"planned_tokens":1920})");
    ASSERT_TRUE(event);
    EXPECT_EQ(event->kind, ProgressEvent::Kind::Run);
    EXPECT_EQ(event->run, 1);
    EXPECT_EQ(event->runs, 3);
    EXPECT_EQ(event->runId, 4);
    EXPECT_EQ(event->policy, "on-demand");
    EXPECT_EQ(event->budgetBytes, 7077888);
    EXPECT_EQ(event->planned, 1920);
}

TEST(ProgressLines, ReadTheProgressOfARun) {
    const auto event = parseProgressLine(
        R"({"event":"progress","run":1,"generated":120,"planned":1920,"tokens_per_s":812.3,"request":2,"label":"cpp"})");
    ASSERT_TRUE(event);
    EXPECT_EQ(event->kind, ProgressEvent::Kind::Progress);
    EXPECT_EQ(event->generated, 120);
    EXPECT_EQ(event->planned, 1920);
    EXPECT_DOUBLE_EQ(event->tokensPerSecond, 812.3);
    EXPECT_EQ(event->request, 2);
    EXPECT_EQ(event->label, "cpp");
}

TEST(ProgressLines, AreNotWhateverElseAProcessSays) {
    for (const char* line :
         {"", "loading…", "{", "[]", "42", R"({"event":"unknown"})", R"({"run":1})", R"({"event":7})"}) {
        EXPECT_FALSE(parseProgressLine(line)) << line;
    }
}

TEST(LineSplitter, GivesALineOnceItIsWholeHoweverItArrives) {
    LineSplitter splitter;
    EXPECT_TRUE(splitter.feed("{\"eve").isEmpty());
    EXPECT_EQ(splitter.feed("nt\"}\nnext"), QByteArrayList{"{\"event\"}"});
    EXPECT_EQ(splitter.feed("\n\nlast"), (QByteArrayList{"next", ""}));
    EXPECT_EQ(splitter.rest(), "last");
    EXPECT_EQ(splitter.rest(), "");
}

TEST(LineSplitter, CutsALineThatNeverEnds) {
    LineSplitter splitter;
    qsizetype longest = 0, given = 0;
    for (int i = 0; i < 10; ++i) {
        for (const QByteArray& line : splitter.feed(QByteArray(40'000, 'x'))) {
            longest = std::max(longest, line.size());
            given += line.size();
        }
    }
    EXPECT_EQ(longest, LineSplitter::kLongestLine);
    EXPECT_EQ(given + splitter.rest().size(), 400'000);
}

}  // namespace
}  // namespace expertscope
