// SPDX-License-Identifier: GPL-3.0-or-later
#include "storage/utf8_text.h"

#include <gtest/gtest.h>

namespace expertscope {
namespace {

TEST(ReplaceInvalidUtf8, KeepsWhatIsValid) {
    for (const char* text : {"", "abc\n\x7f", "ä", "€", "\U0001F600", "\uD7FF\uE000\uFFFF\U0010FFFF"}) {
        EXPECT_EQ(replaceInvalidUtf8(text), text);
    }
}

// Rows of Unicode 15, table 3-8 to 3-11, and their replacement.
TEST(ReplaceInvalidUtf8, ReplacesMaximalSubparts) {
    const std::string r = "\uFFFD";
    EXPECT_EQ(replaceInvalidUtf8("\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41"), r + r + r + r + r + r + r + r + "A");
    EXPECT_EQ(replaceInvalidUtf8("\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41"), r + r + r + r + r + r + r + r + "A");
    EXPECT_EQ(replaceInvalidUtf8("\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42"), r + r + r + r + r + "A" + r + r + "B");
    EXPECT_EQ(replaceInvalidUtf8("\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41"), r + r + r + r + "A");
    EXPECT_EQ(replaceInvalidUtf8("x\xC3"), "x" + r);
    EXPECT_EQ(replaceInvalidUtf8(std::string_view("a\0b", 3)), "a" + r + "b");
}

}  // namespace
}  // namespace expertscope
