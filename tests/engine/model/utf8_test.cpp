// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/model/utf8.h"

#include <gtest/gtest.h>

namespace expertscope {
namespace {

TEST(Utf8, FindsTheFirstByteThatIsNotPartOfACharacter) {
    EXPECT_EQ(findInvalidUtf8(""), std::nullopt);
    EXPECT_EQ(findInvalidUtf8("a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x99\x82"), std::nullopt);
    EXPECT_EQ(findInvalidUtf8("ab\xFF"), 2U);
    EXPECT_EQ(findInvalidUtf8("\xC3"), 0U) << "cut off";
    EXPECT_EQ(findInvalidUtf8("a\x80"), 1U) << "a continuation alone";
    EXPECT_EQ(findInvalidUtf8("\xC0\xAF"), 0U) << "overlong";
    EXPECT_EQ(findInvalidUtf8("\xED\xA0\x80"), 0U) << "a surrogate";
    EXPECT_EQ(findInvalidUtf8("\xF4\x90\x80\x80"), 0U) << "above U+10FFFF";
}

TEST(Utf8, ComposesCanonically) {
    EXPECT_EQ(toNfc("plain"), "plain");
    EXPECT_EQ(toNfc("e\xCC\x81"), "\xC3\xA9");
    EXPECT_EQ(toNfc("\xE2\x84\xAB"), "\xC3\x85") << "the Angstrom sign";
    EXPECT_EQ(toNfc("\xE1\x84\x92\xE1\x85\xA1\xE1\x86\xAB"), "\xED\x95\x9C") << "Hangul";
    EXPECT_EQ(toNfc("q\xCC\x87\xCC\xA3"), "q\xCC\xA3\xCC\x87") << "marks in canonical order";
    EXPECT_EQ(toNfc("\xEF\xAC\x81"), "\xEF\xAC\x81") << "compatibility characters stay";
    EXPECT_EQ(toNfc(std::string_view("a\0e\xCC\x81", 5)), std::string_view("a\0\xC3\xA9", 4));
}

}  // namespace
}  // namespace expertscope
