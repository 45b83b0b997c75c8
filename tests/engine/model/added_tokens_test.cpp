// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/model/added_tokens.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace expertscope {
namespace {

using testing::ElementsAre;

/// Parts as text, added tokens as "id:text".
std::vector<std::string> split(std::vector<AddedToken> tokens, std::string_view text) {
    const AddedTokens added(std::move(tokens));
    std::vector<std::string> parts;
    for (const AddedTokens::Part& part : added.split(text)) {
        parts.push_back((part.token != nullptr ? std::to_string(part.token->id) + ":" : "") + std::string(part.text));
    }
    return parts;
}

TEST(AddedTokens, TakesTheLeftmostAndOfThoseTheLongest) {
    const std::vector<AddedToken> tokens = {{"<a>", 1}, {"<a><b>", 2}, {"<b>", 3}, {"", 4}};
    EXPECT_THAT(split(tokens, "x<a><b>y<b><a>"), ElementsAre("x", "2:<a><b>", "y", "3:<b>", "1:<a>"));
    EXPECT_THAT(split(tokens, "<a"), ElementsAre("<a"));
    EXPECT_THAT(split(tokens, ""), ElementsAre());
    EXPECT_THAT(split({}, "<a>"), ElementsAre("<a>"));
}

TEST(AddedTokens, FindsTokensAfterPartialMatches) {
    EXPECT_THAT(split({{"aab", 1}}, "aaab"), ElementsAre("a", "1:aab"));
}

TEST(AddedTokens, TakesWhiteSpaceWhereATokenSaysSo) {
    EXPECT_THAT(split({{"<m>", 1, false, true, false}}, "a \xC2\xA0\t<m> b"),
                ElementsAre("a", "1: \xC2\xA0\t<m>", " b"));
    EXPECT_THAT(split({{"<m>", 1, false, false, true}}, "a <m> \n b"), ElementsAre("a ", "1:<m> \n ", "b"));
    EXPECT_THAT(split({{"<m>", 1, false, true, true}}, " <m> <m> "), ElementsAre("1: <m> ", "1:<m> "));
}

TEST(AddedTokens, TakesSingleWordsOnlyWhereNoWordTouchesThem) {
    const std::vector<AddedToken> tokens = {{"cat", 1, true}};
    EXPECT_THAT(split(tokens, "cat, concat cat\xC3\xA9 cats cat"),
                ElementsAre("1:cat", ", concat cat\xC3\xA9 cats ", "1:cat"));
}

}  // namespace
}  // namespace expertscope
