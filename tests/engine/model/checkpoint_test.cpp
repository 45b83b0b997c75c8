// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/model/checkpoint.h"

#include <functional>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/engine/model/refusal.h"
#include "tests/engine/model/safetensors_writer.h"

namespace expertscope {
namespace {

using namespace test;
using testing::AllOf;
using testing::HasSubstr;

using Tensors = std::vector<RawTensor>;

RawTensor& named(Tensors& tensors, const std::string& name) {
    return *std::find_if(tensors.begin(), tensors.end(), [&](const RawTensor& t) { return t.name == name; });
}

/// Writes the tiny model after `change`, and gives the sentence with which it is refused.
std::string refusalAfter(const std::function<void(Tensors&)>& change, const TinyQwen3Moe& options = {}) {
    const TemporaryFolder folder;
    writeTinyQwen3Moe(folder.path(), options);
    Tensors tensors = tinyTensors(options);
    change(tensors);
    writeTensors(folder.path(), tensors);
    return refusalOf([&] { Checkpoint::open(folder.path()); }).sentence;
}

std::string bytesAt(const Checkpoint& checkpoint, const FileRange& range) {
    const std::string file = readFile(checkpoint.tensors().files()[static_cast<std::size_t>(range.file)]);
    return file.substr(static_cast<std::size_t>(range.offset), static_cast<std::size_t>(range.length));
}

/// Reads an expert as the engine does: its ranges one after the other; checks each matrix against what was written.
void expectExpertsAsWritten(const Checkpoint& checkpoint, const TinyQwen3Moe& options) {
    Tensors tensors = tinyTensors(options);
    for (std::int32_t l = 0; l < options.layers; ++l) {
        for (std::int32_t e = 0; e < options.experts; ++e) {
            const ExpertPlacement& placement = checkpoint.expert({LayerIndex(l), ExpertId(e)});
            std::string buffer;
            for (const FileRange& range : placement.ranges)
                buffer += bytesAt(checkpoint, range);
            ASSERT_EQ(static_cast<std::int64_t>(buffer.size()), placement.bytes);
            const std::string prefix = "model.layers." + std::to_string(l) + ".mlp.experts." + std::to_string(e);
            for (const auto& [matrix, offset] : {std::pair(".gate_proj.weight", placement.gateOffset),
                                                 std::pair(".up_proj.weight", placement.upOffset),
                                                 std::pair(".down_proj.weight", placement.downOffset)}) {
                const std::string& data = named(tensors, prefix + matrix).data;
                EXPECT_EQ(buffer.substr(static_cast<std::size_t>(offset), data.size()), data) << prefix << matrix;
            }
        }
    }
}

TEST(Checkpoint, PlacesEveryExpertInOneRangeWhereItsMatricesAreAdjacent) {
    for (const ElementType type : {ElementType::F32, ElementType::F16, ElementType::BF16}) {
        const TemporaryFolder folder;
        const TinyQwen3Moe options{.type = type, .preGates = true};
        writeTinyQwen3Moe(folder.path(), options);
        const Checkpoint checkpoint = Checkpoint::open(folder.path());
        expectExpertsAsWritten(checkpoint, options);
        const ExpertPlacement& placement = checkpoint.expert({LayerIndex(2), ExpertId(5)});
        EXPECT_EQ(placement.ranges.size(), 1U);
        EXPECT_EQ(placement.type, type);
        const std::int64_t bytes = 3 * 16 * 32 * static_cast<std::int64_t>(elementSize(type));
        EXPECT_EQ(checkpoint.expertBytes(), Bytes(bytes));
        EXPECT_EQ(checkpoint.totalExpertBytes(), Bytes(bytes * 18));
    }
}

TEST(Checkpoint, PlacesExpertsThatAreScatteredOverFilesAndOrders) {
    for (const int shards : {2, 5, 19}) {
        const TemporaryFolder folder;
        const TinyQwen3Moe options{.tied = false, .shards = shards};
        writeTinyQwen3Moe(folder.path(), options);
        expectExpertsAsWritten(Checkpoint::open(folder.path()), options);
    }
    const TemporaryFolder folder;
    writeTinyQwen3Moe(folder.path());
    Tensors tensors = tinyTensors({});
    std::stable_sort(tensors.begin(), tensors.end(), [](const RawTensor& a, const RawTensor& b) {
        return std::hash<std::string>{}(a.name) < std::hash<std::string>{}(b.name);
    });
    writeTensors(folder.path(), tensors);
    expectExpertsAsWritten(Checkpoint::open(folder.path()), {});
}

TEST(Checkpoint, ReadsTensorsAsFloats) {
    for (const auto& [type, tolerance] : {std::pair(ElementType::F32, 0.0F), std::pair(ElementType::F16, 0x1p-11F),
                                          std::pair(ElementType::BF16, 0x1p-8F)}) {
        const TemporaryFolder folder;
        writeTinyQwen3Moe(folder.path(), {.type = type});
        const std::vector<float> values = Checkpoint::open(folder.path()).readFloats("model.norm.weight");
        const std::vector<float> written = tinyValues("model.norm.weight", 1, 32, 1, 0.25F);
        ASSERT_EQ(values.size(), written.size());
        for (std::size_t i = 0; i < values.size(); ++i)
            EXPECT_NEAR(values[i], written[i], tolerance * 1.25F);
    }
}

TEST(Checkpoint, RefusesToReadATensorThatIsNotThere) {
    const TemporaryFolder folder;
    writeTinyQwen3Moe(folder.path());
    const Checkpoint checkpoint = Checkpoint::open(folder.path());
    EXPECT_THAT(refusalOf([&] { checkpoint.readFloats("nothing"); }).sentence, HasSubstr("\"nothing\""));
}

TEST(Checkpoint, NamesAnyTensorThatIsMissing) {
    const TinyQwen3Moe options{.layers = 2, .experts = 2, .tied = false, .preGates = true};
    for (const RawTensor& tensor : tinyTensors(options)) {
        const auto remove = [&](Tensors& tensors) {
            std::erase_if(tensors, [&](const RawTensor& t) { return t.name == tensor.name; });
        };
        EXPECT_THAT(refusalAfter(remove, options), HasSubstr("\"" + tensor.name + "\""));
    }
}

TEST(Checkpoint, NamesAnyTensorOfAnotherShape) {
    const TinyQwen3Moe options{.layers = 2, .experts = 2, .tied = false, .preGates = true};
    for (const RawTensor& tensor : tinyTensors(options)) {
        const auto transpose = [&](Tensors& tensors) {
            std::vector<std::int64_t>& shape = named(tensors, tensor.name).shape;
            shape.push_back(1);
        };
        EXPECT_THAT(refusalAfter(transpose, options), AllOf(HasSubstr("\"" + tensor.name + "\""), HasSubstr("shape")));
    }
}

TEST(Checkpoint, NamesTypesThatItDoesNotSupport) {
    const auto toFp8 = [](Tensors& tensors) {
        RawTensor& tensor = named(tensors, "model.layers.1.self_attn.k_proj.weight");
        tensor.dtype = "F8_E4M3";
        tensor.data.resize(tensor.data.size() / 2);
    };
    EXPECT_THAT(refusalAfter(toFp8), AllOf(HasSubstr("k_proj"), HasSubstr("F8_E4M3"), HasSubstr("BF16")));
}

TEST(Checkpoint, RefusesExpertsOfMixedTypes) {
    const auto oneMatrix = [](Tensors& tensors) {
        named(tensors, "model.layers.1.mlp.experts.3.up_proj.weight").dtype = "F16";
    };
    EXPECT_THAT(refusalAfter(oneMatrix), AllOf(HasSubstr("expert 3 in layer 1"), HasSubstr("F16")));
    const auto wholeExpert = [](Tensors& tensors) {
        for (const char* matrix : {"gate", "up", "down"}) {
            RawTensor& tensor = named(tensors, std::string("model.layers.1.mlp.experts.3.") + matrix + "_proj.weight");
            tensor.dtype = "F32";
            tensor.data += tensor.data;
        }
    };
    EXPECT_THAT(refusalAfter(wholeExpert), HasSubstr("Expert 3 of layer 1"));
}

TEST(Checkpoint, NeedsPreGatesOnlyWhereTheConfigSaysSo) {
    const TemporaryFolder folder;
    writeTinyQwen3Moe(folder.path(), {.preGates = false});
    EXPECT_FALSE(Checkpoint::open(folder.path()).facts().hasPreGates);
    const TemporaryFolder gated;
    writeTinyQwen3Moe(gated.path(), {.preGates = true});
    EXPECT_TRUE(Checkpoint::open(gated.path()).facts().hasPreGates);
}

TEST(Checkpoint, SaysWhichFileIsMissing) {
    const TemporaryFolder folder;
    EXPECT_THAT(refusalOf([&] { Checkpoint::open(folder.path()); }).sentence, HasSubstr("config.json"));
    EXPECT_THAT(refusalOf([&] { Checkpoint::open(folder.path() / "none"); }).sentence, HasSubstr("not a folder"));
    writeTinyQwen3Moe(folder.path());
    std::filesystem::remove(folder.path() / "model.safetensors");
    EXPECT_THAT(refusalOf([&] { Checkpoint::open(folder.path()); }).sentence, HasSubstr("model.safetensors"));
}

TEST(Checkpoint, GivesTheSameModelTheSameFingerprint) {
    const auto fingerprintOf = [](const TinyQwen3Moe& options) {
        const TemporaryFolder folder;
        writeTinyQwen3Moe(folder.path(), options);
        return Checkpoint::open(folder.path()).facts().fingerprint;
    };
    const std::string original = fingerprintOf({});
    EXPECT_EQ(original.size(), 32U);
    EXPECT_EQ(fingerprintOf({}), original);
    EXPECT_EQ(fingerprintOf({.shards = 3}), original) << "the same tensors in other files";
    EXPECT_NE(fingerprintOf({.topK = 3}), original);
    EXPECT_NE(fingerprintOf({.type = ElementType::F16}), original);
    EXPECT_NE(fingerprintOf({.seed = 2}), original) << "the same shapes with other values";
}

TEST(Checkpoint, OpensTheBundledModel) {
    const Checkpoint checkpoint = Checkpoint::open(EXPERTSCOPE_RESOURCES "/demo_model");
    const ModelFacts facts = checkpoint.facts();
    EXPECT_EQ(facts.name, "demo_model");
    EXPECT_EQ(facts.family, "qwen3_moe");
    EXPECT_EQ(facts.layers, 8);
    EXPECT_EQ(facts.experts, 32);
    EXPECT_EQ(facts.topK, 4);
    EXPECT_EQ(facts.hidden, 192);
    EXPECT_EQ(facts.vocabulary, 4096);
    EXPECT_EQ(facts.context, 256);
    EXPECT_EQ(facts.expertBytes, Bytes(110'592));
    EXPECT_EQ(facts.totalExpertBytes, Bytes(27LL << 20));
    EXPECT_TRUE(facts.hasPreGates);
    EXPECT_EQ(checkpoint.expert({LayerIndex(7), ExpertId(31)}).ranges.size(), 1U);
}

}  // namespace
}  // namespace expertscope
