// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/model/tokenizer_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/engine/model/refusal.h"
#include "tests/engine/model/tokenizer_fixture.h"

namespace expertscope {
namespace {

using namespace test;
using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;

/// The small tokenizer with the value at `pointer` replaced.
json with(const char* pointer, const json& value) {
    json tokenizer = smallTokenizer();
    tokenizer[json::json_pointer(pointer)] = value;
    return tokenizer;
}

std::string tokenizerRefusal(const json& tokenizer) {
    return refusalOf([&] { parseTokenizerFile(tokenizer.dump(), "tokenizer.json"); }).sentence;
}

TEST(TokenizerFile, NamesOtherKindsOfTokenizers) {
    for (const char* type : {"Unigram", "WordPiece", "WordLevel"}) {
        EXPECT_THAT(tokenizerRefusal(with("/model", {{"type", type}})),
                    AllOf(HasSubstr(type), HasSubstr("byte-level BPE")));
    }
    EXPECT_THAT(tokenizerRefusal(with("/normalizer", {{"type", "NFKC"}})), HasSubstr("NFKC"));
    EXPECT_THAT(
        tokenizerRefusal(with("/normalizer", {{"type", "Sequence"}, {"normalizers", {{{"type", "Lowercase"}}}}})),
        HasSubstr("Lowercase"));
    EXPECT_THAT(tokenizerRefusal(with("/pre_tokenizer", {{"type", "Metaspace"}})), HasSubstr("Metaspace"));
    EXPECT_THAT(tokenizerRefusal(with("/pre_tokenizer", nullptr)), HasSubstr("no pre-tokenizer"));
    EXPECT_THAT(tokenizerRefusal(with("/model/dropout", 0.1)), HasSubstr("dropout"));
    EXPECT_THAT(tokenizerRefusal(with("/model/end_of_word_suffix", "</w>")), HasSubstr("end_of_word_suffix"));
}

TEST(TokenizerFile, NamesSplitsThatItDoesNotSupport) {
    const auto split = [](const char* behavior, bool invert) {
        const json part = {
            {"type", "Split"}, {"pattern", {{"Regex", "a"}}}, {"behavior", behavior}, {"invert", invert}};
        return with("/pre_tokenizer", {{"type", "Sequence"}, {"pretokenizers", {part}}});
    };
    EXPECT_THAT(tokenizerRefusal(split("Removed", false)), HasSubstr("Removed"));
    EXPECT_THAT(tokenizerRefusal(split("Isolated", true)), HasSubstr("inverted"));
    EXPECT_THAT(tokenizerRefusal(split("Isolated", false)), HasSubstr("no ByteLevel"));
}

TEST(TokenizerFile, NamesContradictionsInTheVocabulary) {
    EXPECT_THAT(tokenizerRefusal(with("/model/vocab/ab", 97)), HasSubstr("97"));
    EXPECT_THAT(tokenizerRefusal(with("/model/vocab/ab", -1)), HasSubstr("\"ab\""));
    EXPECT_THAT(tokenizerRefusal(with("/model/vocab/ab", 1LL << 40)), HasSubstr("\"ab\""));
    EXPECT_THAT(tokenizerRefusal(with("/model/vocab/ab", "x")), HasSubstr("\"ab\""));
    EXPECT_THAT(tokenizerRefusal(with("/added_tokens/0/id", 97)), HasSubstr("97"));
    EXPECT_THAT(tokenizerRefusal(with("/model/merges/0", "b a")), HasSubstr("\"ba\""));
    EXPECT_THAT(tokenizerRefusal(with("/model/merges/0", "b")), HasSubstr("number 0"));
    EXPECT_THAT(tokenizerRefusal(with("/model/merges/1", {"a", "b", "c"})), HasSubstr("number 1"));
    EXPECT_THAT(tokenizerRefusal(with("/model/merges", 1)), HasSubstr("merges"));
    EXPECT_THAT(tokenizerRefusal(with("/model/vocab", json::array())), HasSubstr("vocabulary"));
    json noSpace = smallTokenizer();
    noSpace["model"]["vocab"].erase("x");
    EXPECT_THAT(tokenizerRefusal(noSpace), HasSubstr("0x78"));
}

TEST(TokenizerFile, RefusesWhatIsNotATokenizer) {
    EXPECT_THAT(refusalOf([] { parseTokenizerFile("{", "tokenizer.json"); }).sentence, HasSubstr("not JSON"));
    EXPECT_THAT(tokenizerRefusal(json::object()), HasSubstr("model"));
    json deep = {{"type", "Sequence"}, {"pretokenizers", json::array()}};
    for (int i = 0; i < 1000; ++i)
        deep = {{"type", "Sequence"}, {"pretokenizers", json::array({deep})}};
    EXPECT_THAT(tokenizerRefusal(with("/pre_tokenizer", deep)), HasSubstr("Sequence"));
}

TEST(TokenizerFile, ReadsMergesInBothSpellings) {
    for (const json& merge : {json("a b"), json({"a", "b"})}) {
        const TokenizerFile file = parseTokenizerFile(with("/model/merges/0", merge).dump(), "tokenizer.json");
        std::vector<std::int32_t> ids;
        file.bpe.encode("abcab", ids);
        EXPECT_EQ(ids, (std::vector<std::int32_t>{257, 256}));
    }
}

TEST(TokenizerSettings, ReadsTokensAsTextOrAsObject) {
    const TokenizerSettings settings =
        parseTokenizerSettings(R"({"add_bos_token":true,"bos_token":"<b>","eos_token":{"content":"<e>"}})", "f");
    EXPECT_TRUE(settings.addBos);
    EXPECT_EQ(settings.bos, "<b>");
    EXPECT_EQ(settings.eos, "<e>");
    const TokenizerSettings none = parseTokenizerSettings(R"({"bos_token":null})", "f");
    EXPECT_FALSE(none.addBos);
    EXPECT_EQ(none.bos, "");
}

}  // namespace
}  // namespace expertscope
