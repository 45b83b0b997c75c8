// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/offload/prepared_data.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/base/error.h"
#include "tests/engine/model/safetensors_writer.h"

namespace expertscope {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

PreparedData sample() {
    PreparedData data("abc", "demo");
    data.set("popularity", {2, 3}, {1, 2, 3, 4, 5, 6});
    data.set("eamc", {1, 2, 3}, {1, 0, 0, 0, 1, 0});
    data.set("sensitivity", {2}, {0.5F, 0.25F});
    data.addSource("run 1 of a.esdb");
    return data;
}

template <class Error>
std::string sentenceOf(const std::function<void()>& action) {
    try {
        action();
    } catch (const Error& error) { return error.what(); }
    ADD_FAILURE() << "nothing was refused";
    return {};
}

TEST(PreparedData, ComesBackFromItsFileAsItWas) {
    const test::TemporaryFolder folder;
    PreparedData data = sample();
    data.addSource("two\nlines \"quoted\" ü");
    data.save(folder.path() / "p.safetensors");
    const PreparedData loaded = PreparedData::load(folder.path() / "p.safetensors");
    EXPECT_EQ(loaded.fingerprint(), "abc");
    EXPECT_EQ(loaded.modelName(), "demo");
    EXPECT_THAT(loaded.sources(), ElementsAre("run 1 of a.esdb", "two lines \"quoted\" ü"));
    ASSERT_EQ(loaded.tables().size(), 3U);
    EXPECT_THAT(loaded.table("popularity", {2, 3}).values, ElementsAre(1, 2, 3, 4, 5, 6));
    EXPECT_THAT(loaded.table("eamc", {-1, 2, 3}).shape, ElementsAre(1, 2, 3));
    EXPECT_EQ(loaded.find("co_activation"), nullptr);
}

TEST(PreparedData, IsAFileThatTheSafetensorsReaderOfModelsTakes) {
    const test::TemporaryFolder folder;
    sample().save(folder.path() / "p");
    const std::string bytes = test::readFile(folder.path() / "p");
    std::uint64_t length = 0;
    std::memcpy(&length, bytes.data(), 8);
    EXPECT_EQ(length % 8, 0U);
    const auto header = nlohmann::json::parse(bytes.substr(8, length));
    EXPECT_EQ(header["popularity"]["shape"], (std::vector<int>{2, 3}));
    EXPECT_EQ(bytes.size(), 8 + length + (6 + 6 + 2) * sizeof(float));
    float third = 0;
    const auto at = 8 + length + header["popularity"]["data_offsets"][0].get<std::uint64_t>() + 2 * sizeof(float);
    std::memcpy(&third, bytes.data() + at, sizeof third);
    EXPECT_EQ(third, 3.0F);
}

TEST(PreparedData, MergesCountsBySumSamplesByAppendingAndFitsByTheNewerOne) {
    PreparedData data = sample();
    PreparedData other("abc", "demo");
    other.set("popularity", {2, 3}, {10, 0, 0, 0, 0, 20});
    other.set("eamc", {2, 2, 3}, {0, 1, 0, 0, 0, 1, 0, 0, 1, 1, 0, 0});
    other.set("sensitivity", {2}, {0.125F, 1});
    other.set("pre_gate.1.0", {1, 2}, {7, 8});
    other.addSource("run 1 of a.esdb");
    other.addSource("run 2 of a.esdb");
    data.merge(other);
    EXPECT_THAT(data.table("popularity", {2, 3}).values, ElementsAre(11, 2, 3, 4, 5, 26));
    EXPECT_THAT(data.table("eamc", {3, 2, 3}).values,
                ElementsAre(1, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 1, 0, 0, 1, 1, 0, 0));
    EXPECT_THAT(data.table("sensitivity", {2}).values, ElementsAre(0.125F, 1));
    EXPECT_THAT(data.table("pre_gate.1.0", {1, 2}).values, ElementsAre(7, 8));
    EXPECT_THAT(data.sources(), ElementsAre("run 1 of a.esdb", "run 2 of a.esdb"));
}

TEST(PreparedData, TakesTheModelOfTheFirstThatIsMergedIntoNone) {
    PreparedData data;
    data.merge(sample());
    EXPECT_EQ(data.fingerprint(), "abc");
    EXPECT_EQ(data.tables().size(), 3U);
}

TEST(PreparedData, RefusesAnotherModelsAndChangesNothing) {
    PreparedData data = sample();
    PreparedData other("def", "other");
    other.set("popularity", {2, 3}, {1, 1, 1, 1, 1, 1});
    EXPECT_THAT(sentenceOf<BadInputError>([&] { data.merge(other); }),
                HasSubstr("of the model 'other', not of 'demo'"));
    EXPECT_THAT(data.table("popularity", {2, 3}).values, ElementsAre(1, 2, 3, 4, 5, 6));
    EXPECT_THAT(sentenceOf<BadInputError>([&] { data.requireModel("def", "other"); }), HasSubstr("demo"));
}

TEST(PreparedData, RefusesTablesOfAnotherShapeBeforeAnyIsMerged) {
    PreparedData data = sample();
    PreparedData other("abc", "demo");
    other.set("eamc", {1, 2, 3}, {9, 9, 9, 9, 9, 9});
    other.set("popularity", {2, 2}, {1, 1, 1, 1});
    EXPECT_THAT(sentenceOf<BadInputError>([&] { data.merge(other); }), HasSubstr("[2, 3] in one file and [2, 2]"));
    EXPECT_EQ(data.find("eamc")->shape[0], 1);
    EXPECT_THAT(sentenceOf<BadInputError>([&] {
                    data.table("popularity", {4, 3});
                }),
                HasSubstr("shape [2, 3] where the model needs [4, 3]"));
    EXPECT_THAT(sentenceOf<BadInputError>([&] {
                    data.table("co_activation", {2, 3, 3});
                }),
                HasSubstr("no table 'co_activation'"));
}

TEST(PreparedData, RefusesFilesThatAreSomethingElse) {
    const test::TemporaryFolder folder;
    const auto file = folder.path() / "p";
    EXPECT_THROW(PreparedData::load(file), BadInputError);
    test::writeFile(file, "abc");
    EXPECT_THAT(sentenceOf<BadInputError>([&] { PreparedData::load(file); }), HasSubstr("too short"));
    sample().save(file);
    const std::string whole = test::readFile(file);
    for (const std::size_t cut : {std::size_t{12}, whole.size() / 2, whole.size() - 1}) {
        test::writeFile(file, whole.substr(0, cut));
        EXPECT_THROW(PreparedData::load(file), BadInputError) << cut;
    }
    std::string model = R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})";
    const std::uint64_t length = model.size();
    std::string bytes(reinterpret_cast<const char*>(&length), 8);
    bytes += model + std::string(4, '\0');
    test::writeFile(file, bytes);
    EXPECT_THAT(sentenceOf<BadInputError>([&] { PreparedData::load(file); }), HasSubstr("something else"));
}

TEST(PreparedData, SaysThatItsFileCannotBeWritten) {
    const test::TemporaryFolder folder;
    EXPECT_THAT(sentenceOf<FailedError>([&] { sample().save(folder.path() / "no" / "p"); }), HasSubstr("Cannot write"));
}

}  // namespace
}  // namespace expertscope
