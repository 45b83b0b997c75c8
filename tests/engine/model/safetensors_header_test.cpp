// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/model/safetensors_header.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/engine/model/refusal.h"

namespace expertscope {
namespace {

using test::refusalOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::vector<TensorInfo> parse(std::string_view header, std::int64_t dataBytes) {
    return parseSafetensorsHeader(header, dataBytes, "m.safetensors");
}

/// {"t": {"dtype": …, "shape": …, "data_offsets": …}}
std::string one(const std::string& dtype, const std::string& shape, const std::string& offsets) {
    return R"({"t":{"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}}";
}

struct Rejected {
    const char* what;
    std::string header;
    std::int64_t dataBytes;
    const char* errorName;  ///< the reference reader's
    const char* sentencePart;
};

TEST(SafetensorsHeader, GivesTheTensorsInFileOrder) {
    const auto tensors = parse(R"({"__metadata__":{"format":"pt"},
        "b":{"dtype":"BF16","shape":[2,3],"data_offsets":[8,20]},
        "a":{"shape":[2],"data_offsets":[0,8],"dtype":"I32"}})",
                               20);
    ASSERT_EQ(tensors.size(), 2U);
    EXPECT_EQ(tensors[0].name, "a");
    EXPECT_EQ(tensors[0].type, ElementType::Other);
    EXPECT_EQ(tensors[0].typeName, "I32");
    EXPECT_EQ(tensors[1].name, "b");
    EXPECT_EQ(tensors[1].type, ElementType::BF16);
    EXPECT_THAT(tensors[1].shape, ElementsAre(2, 3));
    EXPECT_EQ(tensors[1].offset, 8);
    EXPECT_EQ(tensors[1].bytes, 12);
}

TEST(SafetensorsHeader, AcceptsWhatTheReferenceReaderAccepts) {
    EXPECT_EQ(parse(one("I32", "[2,2]", "[0,16]"), 16).size(), 1U);
    EXPECT_EQ(parse(one("I32", "[2,0]", "[0,0]"), 0).size(), 1U) << "an empty tensor";
    EXPECT_EQ(parse(one("F32", "[]", "[0,4]"), 4).size(), 1U) << "a scalar";
    EXPECT_EQ(parse("\t\n" + one("F32", "[]", "[0,4]") + "\r ", 4).size(), 1U) << "white space around";
    EXPECT_THAT(parse("{}", 0), IsEmpty());
    EXPECT_THAT(parse(R"({"__metadata__":null})", 0), IsEmpty());
    EXPECT_EQ(parse(one("F4", "[4]", "[0,2]"), 2).size(), 1U) << "two elements a byte";
    EXPECT_EQ(
        parse(R"({"t":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"more":{"a":[{"dtype":1}]},"x":null}})", 1).size(),
        1U)
        << "keys that are not known";
    EXPECT_EQ(parse(R"({"e":{"dtype":"U8","shape":[0],"data_offsets":[4,4]},
                        "t":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
                    4)
                  .size(),
              2U)
        << "an empty tensor at the end";
}

TEST(SafetensorsHeader, KnowsEveryTypeOfTheFormat) {
    for (const char* type : {"BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ"}) {
        EXPECT_EQ(parse(one(type, "[8]", "[0,8]"), 8).front().type, ElementType::Other) << type;
    }
    for (const char* type : {"I16", "U16"})
        EXPECT_EQ(parse(one(type, "[4]", "[0,8]"), 8).size(), 1U) << type;
    for (const char* type : {"I32", "U32"})
        EXPECT_EQ(parse(one(type, "[2]", "[0,8]"), 8).size(), 1U) << type;
    for (const char* type : {"C64", "F64", "I64", "U64"})
        EXPECT_EQ(parse(one(type, "[1]", "[0,8]"), 8).size(), 1U);
    for (const char* type : {"F6_E2M3", "F6_E3M2"})
        EXPECT_EQ(parse(one(type, "[4]", "[0,3]"), 3).size(), 1U) << type;
    EXPECT_EQ(parse(one("F16", "[1]", "[0,2]"), 2).front().type, ElementType::F16);
    EXPECT_EQ(parse(one("F32", "[1]", "[0,4]"), 4).front().type, ElementType::F32);
}

TEST(SafetensorsHeader, RefusesWhatTheReferenceReaderRefusesByTheSameRule) {
    std::string overlapping = "{";
    for (int i = 0; i < 10; ++i) {
        overlapping += (i > 0 ? "," : "") + ("\"t" + std::to_string(i)) +
                       R"(":{"dtype":"I32","shape":[2,2],"data_offsets":[0,16]})";
    }
    overlapping += "}";
    const char* const deserialization = "InvalidHeaderDeserialization";
    const std::vector<Rejected> cases = {
        {"no JSON", "", 0, deserialization, "JSON"},
        {"an array", "[]", 0, deserialization, "JSON object"},
        {"a byte order mark", "\xEF\xBB\xBF{}", 0, deserialization, "JSON object"},
        {"text behind", "{} {}", 0, deserialization, "byte"},
        {"a NUL behind", std::string("{}\0", 3), 0, deserialization, "JSON"},
        {"cut off", R"({"t":{"dtype":"F32")", 0, deserialization, "JSON"},
        {"not UTF-8", "{\"\xFF\":1}", 0, "InvalidHeader", "UTF-8 at byte 2"},
        {"a surrogate", "{\"\xED\xA0\x80\":1}", 0, "InvalidHeader", "UTF-8"},
        {"an unknown type", one("Q4", "[1]", "[0,4]"), 4, deserialization, "unknown type \"Q4\""},
        {"no shape", R"({"t":{"dtype":"F32","data_offsets":[0,4]}})", 4, deserialization, "lacks \"shape\""},
        {"a negative offset", one("F32", "[1]", "[-4,0]"), 4, deserialization, "negative"},
        {"a fractional shape", one("F32", "[1.0]", "[0,4]"), 4, deserialization, "no size"},
        {"a shape above 64 bits", one("F32", "[18446744073709551616]", "[0,4]"), 4, deserialization, "no size"},
        {"three offsets", one("F32", "[1]", "[0,4,8]"), 4, deserialization, "3 data offsets"},
        {"a nested shape", one("F32", "[[1]]", "[0,4]"), 4, deserialization, "shape"},
        {"a type that is a number", R"({"t":{"dtype":1,"shape":[],"data_offsets":[0,4]}})", 4, deserialization,
         "dtype"},
        {"a tensor that is a number", R"({"t":1})", 0, deserialization, "\"t\""},
        {"metadata of numbers", R"({"__metadata__":{"a":1}})", 0, deserialization, "\"a\""},
        {"nested metadata", R"({"__metadata__":{"a":{}}})", 0, deserialization, "\"a\""},
        {"a name twice",
         R"({"t":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"t":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})",
         2, deserialization, "\"t\" stands twice"},
        {"a field twice", R"({"t":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}})", 1, deserialization,
         "\"dtype\" stands twice"},
        {"ten tensors in one place", overlapping, 16, "InvalidOffset", "byte 16 is next"},
        {"a start behind a hole", one("F32", "[1]", "[4,8]"), 8, "InvalidOffset", "byte 0 is next"},
        {"an end before its start",
         R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[1],"data_offsets":[4,3]}})",
         4, "InvalidOffset", "byte 4 is next"},
        {"a shape whose product overflows", one("I32", "[2,18446744073709551614]", "[0,16]"), 16, "ValidationOverflow",
         "too large"},
        {"a shape whose bits overflow", one("I32", "[2,9223372036854775807]", "[0,16]"), 16, "ValidationOverflow",
         "too large"},
        {"three nibbles", one("F4", "[3]", "[0,2]"), 2, "MisalignedSlice", "within a byte"},
        {"a size that its shape denies", one("F32", "[2]", "[0,4]"), 4, "TensorInvalidInfo", "needs 8 bytes but has 4"},
        {"bytes behind the last tensor", one("I32", "[2,2]", "[0,16]"), 18, "MetadataIncompleteBuffer",
         "need 16 bytes of data but it has 18"},
        {"missing bytes", one("I32", "[2,2]", "[0,16]"), 14, "MetadataIncompleteBuffer", "has 14"},
        {"offsets far outside", one("U8", "[9223372036854775807]", "[0,9223372036854775807]"), 16, "ValidationOverflow",
         "too large"},
        {"offsets outside", one("U8", "[1000000000000]", "[0,1000000000000]"), 16, "MetadataIncompleteBuffer", "16"},
    };
    for (const Rejected& rejected : cases) {
        SCOPED_TRACE(rejected.what);
        const test::Refusal refusal = refusalOf([&] { parse(rejected.header, rejected.dataBytes); });
        EXPECT_EQ(refusal.detail, rejected.errorName);
        EXPECT_THAT(refusal.sentence, HasSubstr("m.safetensors"));
        EXPECT_THAT(refusal.sentence, HasSubstr(rejected.sentencePart));
    }
}

TEST(SafetensorsHeader, SurvivesDeepNesting) {
    const std::string deep(1'000'000, '[');
    EXPECT_THAT(refusalOf([&] { parse("{\"t\":{\"x\":" + deep, 0); }).sentence, HasSubstr("JSON"));
    EXPECT_THAT(refusalOf([&] { parse("{\"t\":" + deep, 0); }).sentence, HasSubstr("an array"));
}

}  // namespace
}  // namespace expertscope
