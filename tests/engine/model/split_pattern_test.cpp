// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/model/split_pattern.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/engine/model/refusal.h"

namespace expertscope {
namespace {

using test::refusalOf;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr const char* kQwen =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

std::vector<std::string_view> split(const std::string& pattern, std::string_view text, bool literal = false) {
    std::vector<std::string_view> pieces;
    SplitPattern(pattern, literal, "tokenizer.json").split(text, pieces);
    return pieces;
}

TEST(SplitPattern, CutsAtMatchesAndKeepsWhatLiesBetween) {
    EXPECT_THAT(split("b+", "abbcb"), ElementsAre("a", "bb", "c", "b"));
    EXPECT_THAT(split("x*", "axxb"), ElementsAre("a", "xx", "b")) << "empty matches cut nothing";
    EXPECT_THAT(split(".", "a.b", true), ElementsAre("a", ".", "b"));
    EXPECT_THAT(split("b", ""), ElementsAre());
}

TEST(SplitPattern, SplitsAsQwenDoes) {
    EXPECT_THAT(split(kQwen, "Hello  world's 42\n\n x"),
                ElementsAre("Hello", " ", " world", "'s", " ", "4", "2", "\n\n", " x"));
    EXPECT_THAT(split(kQwen, "don'T"), ElementsAre("don", "'T"));
    EXPECT_THAT(split(kQwen, "\xD0\x9F\xD1\x80, \xE4\xBD\xA0"), ElementsAre("\xD0\x9F\xD1\x80", ",", " \xE4\xBD\xA0"));
}

TEST(SplitPattern, IgnoresTheCaseOfAsciiOnly) {
    // U+017F folds to s and U+212A to k; to the reference, an apostrophe before U+017F begins an ordinary word.
    EXPECT_THAT(split("(?i:'s)", "'S'\xC5\xBF's"), ElementsAre("'S", "'\xC5\xBF", "'s"));
    EXPECT_THAT(split("(?i:k)", "aK\xE2\x84\xAAk"), ElementsAre("a", "K", "\xE2\x84\xAA", "k"));
}

TEST(SplitPattern, TakesUnicodesWhiteSpace) {
    for (const char* space : {"\t", "\v", "\f", "\r", " ", "\xC2\x85", "\xC2\xA0", "\xE1\x9A\x80", "\xE2\x80\x83",
                              "\xE2\x80\xA8", "\xE3\x80\x80"}) {
        EXPECT_THAT(split(R"(\S+)", std::string("a") + space + "b"), ElementsAre("a", space, "b"));
        EXPECT_THAT(split(R"([^\s]+)", std::string("a") + space + "b"), ElementsAre("a", space, "b"));
        EXPECT_THAT(split(R"(\s)", std::string("a") + space + "b"), ElementsAre("a", space, "b"));
    }
    for (const char* other : {"\xE1\xA0\x8E", "\xE2\x80\x8B", "\xEF\xBB\xBF"}) {  // U+180E, U+200B, U+FEFF
        EXPECT_THAT(split(R"(\s)", std::string("a") + other + "b"), testing::SizeIs(1));
    }
}

TEST(SplitPattern, KeepsClassesWholeWhileAdaptingThem) {
    EXPECT_EQ(SplitPattern::toPcre(R"([]\s]\S[[:alpha:]\s])"),
              R"([]\t-\r\x{85}\p{Z}][^\t-\r\x{85}\p{Z}][[:alpha:]\t-\r\x{85}\p{Z}])");
    EXPECT_EQ(SplitPattern::toPcre(R"(\[\\s(?i:'d|a))"), R"(\[\\s(?:'[dD]|[aA]))");
    EXPECT_EQ(SplitPattern::toPcre(R"((?i:[a-z]))"), R"((?i:[a-z]))");
}

TEST(SplitPattern, RefusesWhatItCannotCompile) {
    EXPECT_THAT(refusalOf([] { split("(", "a"); }).sentence, HasSubstr("not a regular expression"));
    EXPECT_THAT(refusalOf([] { split("[a&&b]", "a"); }).sentence, HasSubstr("not supported"));
    EXPECT_THAT(refusalOf([] { split("", "a"); }).sentence, HasSubstr("tokenizer.json"));
}

TEST(SplitPattern, EndsOnAMegabyteOfWhiteSpace) {
    const std::string spaces(1 << 20, ' ');
    EXPECT_THAT(split(kQwen, spaces + "x"), ElementsAre(spaces.substr(1), " x"));
}

}  // namespace
}  // namespace expertscope
