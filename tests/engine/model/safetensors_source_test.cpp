// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/model/safetensors_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/engine/model/refusal.h"
#include "tests/engine/model/safetensors_writer.h"

namespace expertscope {
namespace {

using namespace test;
using testing::HasSubstr;

const std::vector<RawTensor> kTwoTensors = {{"a", "U8", {3}, "abc"}, {"b", "F16", {2, 2}, "01234567"}};

std::string contentOf(const SafetensorsSource& source, const std::string& name) {
    const TensorInfo* info = source.find(name);
    if (info == nullptr) return "(none)";
    std::string bytes(static_cast<std::size_t>(info->bytes), '\0');
    source.read(*info, std::as_writable_bytes(std::span(bytes)));
    return bytes;
}

TEST(SafetensorsSource, ReadsTheTensorsOfOneFile) {
    const TemporaryFolder folder;
    writeTensors(folder.path(), kTwoTensors);
    const SafetensorsSource source(folder.path());
    EXPECT_EQ(source.files().size(), 1U);
    EXPECT_EQ(source.tensors().size(), 2U);
    EXPECT_EQ(contentOf(source, "a"), "abc");
    EXPECT_EQ(contentOf(source, "b"), "01234567");
    EXPECT_EQ(source.find("c"), nullptr);
}

TEST(SafetensorsSource, ReadsTheTensorsOfShards) {
    const TemporaryFolder folder;
    writeTensors(folder.path(), kTwoTensors, 2);
    const SafetensorsSource source(folder.path());
    EXPECT_EQ(source.files().size(), 2U);
    EXPECT_EQ(contentOf(source, "a"), "abc");
    EXPECT_EQ(contentOf(source, "b"), "01234567");
    EXPECT_NE(source.find("a")->file, source.find("b")->file);
}

TEST(SafetensorsSource, NamesTensorAndFileWhenTheFileIsTruncatedAfterOpening) {
    const TemporaryFolder folder;
    writeTensors(folder.path(), kTwoTensors);
    const SafetensorsSource source(folder.path());
    const std::filesystem::path file = folder.path() / "model.safetensors";
    std::filesystem::resize_file(file, std::filesystem::file_size(file) - 1);
    EXPECT_EQ(contentOf(source, "a"), "abc") << "what is still there can be read";
    const std::string sentence = refusalOf([&] { contentOf(source, "b"); }).sentence;
    EXPECT_THAT(sentence, HasSubstr("\"b\""));
    EXPECT_THAT(sentence, HasSubstr(file.string()));
}

TEST(SafetensorsSource, KeepsReadingAFileThatIsReplacedOrRemoved) {
    const TemporaryFolder folder;
    writeTensors(folder.path(), kTwoTensors);
    const SafetensorsSource source(folder.path());
    std::filesystem::remove(folder.path() / "model.safetensors");
    EXPECT_EQ(contentOf(source, "b"), "01234567");
}

TEST(SafetensorsSource, RefusesFilesWhoseLengthIsImpossible) {
    const TemporaryFolder folder;
    const std::filesystem::path file = folder.path() / "model.safetensors";
    const auto refusal = [&](const std::string& bytes) {
        writeFile(file, bytes);
        return refusalOf([&] { SafetensorsSource{folder.path()}; });
    };
    const std::string whole = safetensorsFile(kTwoTensors);
    for (std::size_t bytes = 0; bytes < 8; ++bytes) {
        EXPECT_EQ(refusal(whole.substr(0, bytes)).detail, "HeaderTooSmall") << bytes;
    }
    EXPECT_EQ(refusal(std::string("<\0\0\0\0\xff\xff\xff", 8)).detail, "HeaderTooLarge");
    EXPECT_EQ(refusal(std::string("\x01\xe1\xf5\x05\0\0\0\0{}", 10)).detail, "HeaderTooLarge") << "100 000 001";
    EXPECT_EQ(refusal(std::string("\x03\0\0\0\0\0\0\0{}", 10)).detail, "InvalidHeaderLength");
    EXPECT_EQ(refusal(std::string("\xff\xff\xff\xff\xff\xff\xff\xff{}", 10)).detail, "HeaderTooLarge");
    EXPECT_EQ(refusal(whole + "x").detail, "MetadataIncompleteBuffer");
    EXPECT_THAT(refusal(whole.substr(0, 20)).sentence, HasSubstr(file.string()));
}

TEST(SafetensorsSource, RefusesEveryTruncationOfAFile) {
    const TemporaryFolder folder;
    const std::string whole = safetensorsFile(kTwoTensors);
    for (std::size_t bytes = 0; bytes < whole.size(); ++bytes) {
        writeFile(folder.path() / "model.safetensors", whole.substr(0, bytes));
        EXPECT_THROW(SafetensorsSource{folder.path()}, BadInputError) << bytes;
    }
}

TEST(SafetensorsSource, SaysWhatAFolderWithoutWeightsLacks) {
    const TemporaryFolder folder;
    const std::string sentence = refusalOf([&] { SafetensorsSource{folder.path()}; }).sentence;
    EXPECT_THAT(sentence, HasSubstr(folder.path().string()));
    EXPECT_THAT(sentence, HasSubstr("model.safetensors.index.json"));
}

TEST(SafetensorsSource, RefusesAFolderInPlaceOfAFile) {
    const TemporaryFolder folder;
    std::filesystem::create_directory(folder.path() / "model.safetensors");
    EXPECT_THAT(refusalOf([&] { SafetensorsSource{folder.path()}; }).sentence, HasSubstr("not a regular file"));
}

class ShardIndex : public testing::Test {
protected:
    std::string refusal(const std::string& index) {
        writeFile(m_folder.path() / "model.safetensors.index.json", index);
        return refusalOf([&] { SafetensorsSource{m_folder.path()}; }).sentence;
    }
    TemporaryFolder m_folder;
};

TEST_F(ShardIndex, MayNotLeadOutOfItsFolder) {
    for (const char* name : {"../x.safetensors", "/etc/passwd", "a/b", "a\\\\b", "..", "", "a\\u0000.safetensors"}) {
        SCOPED_TRACE(name);
        EXPECT_THAT(refusal(std::string(R"({"weight_map":{"t":")") + name + "\"}}"), HasSubstr("\"t\""));
    }
}

TEST_F(ShardIndex, MustBeAMapOfNames) {
    EXPECT_THAT(refusal("{"), HasSubstr("not JSON"));
    EXPECT_THAT(refusal("[]"), HasSubstr("not a JSON object"));
    EXPECT_THAT(refusal("{}"), HasSubstr("weight_map"));
    EXPECT_THAT(refusal(R"({"weight_map":{}})"), HasSubstr("weight_map"));
    EXPECT_THAT(refusal(R"({"weight_map":{"t":1}})"), HasSubstr("\"t\""));
}

TEST_F(ShardIndex, NamesAShardThatIsMissing) {
    EXPECT_THAT(refusal(R"({"weight_map":{"t":"gone.safetensors"}})"), HasSubstr("gone.safetensors"));
}

TEST_F(ShardIndex, NamesATensorThatItsShardLacks) {
    writeFile(m_folder.path() / "s.safetensors", safetensorsFile(kTwoTensors));
    const std::string sentence = refusal(R"({"weight_map":{"a":"s.safetensors","lost":"s.safetensors"}})");
    EXPECT_THAT(sentence, HasSubstr("\"lost\""));
    EXPECT_THAT(sentence, HasSubstr("s.safetensors"));
}

TEST_F(ShardIndex, HasEveryShardChecked) {
    writeFile(m_folder.path() / "s.safetensors", safetensorsFile(kTwoTensors));
    writeFile(m_folder.path() / "z.safetensors", safetensorsFile(kTwoTensors) + "x");
    EXPECT_THAT(refusal(R"({"weight_map":{"a":"s.safetensors","b":"z.safetensors"}})"), HasSubstr("z.safetensors"));
}

}  // namespace
}  // namespace expertscope
