// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/offload/expert_store.h"

#include <cstring>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/base/error.h"
#include "engine/offload/transfer_queue.h"
#include "tests/engine/model/safetensors_writer.h"

namespace expertscope {
namespace {

/// The expert's matrices in the slot against the tensors read by name.
void expectExpertsAsInFile(const test::TinyQwen3Moe& tiny, IoMode mode) {
    const test::TemporaryFolder folder;
    test::writeTinyQwen3Moe(folder.path(), tiny);
    const Checkpoint checkpoint = Checkpoint::open(folder.path());
    const ExpertStore store(checkpoint, mode);
    const Arena arena(1, store.slotBytes());
    std::byte* const slot = arena.slot(SlotIndex(0));
    for (int layer = 0; layer < tiny.layers; ++layer) {
        for (int expert = 0; expert < tiny.experts; ++expert) {
            const ExpertRef ref{LayerIndex(layer), ExpertId(expert)};
            std::memset(slot, 0xEE, store.slotBytes());
            Bytes useful;
            for (int piece = 0; piece < store.pieces(ref); ++piece)
                useful += store.readPiece(ref, piece, slot);
            EXPECT_EQ(useful, store.expertBytes());
            const ExpertWeights weights = store.weights(ref, slot);
            const std::string prefix =
                "model.layers." + std::to_string(layer) + ".mlp.experts." + std::to_string(expert) + ".";
            for (const auto& [name, matrix] : {std::pair{"gate_proj", weights.gate}, std::pair{"up_proj", weights.up},
                                               std::pair{"down_proj", weights.down}}) {
                const TensorInfo* info = checkpoint.tensors().find(prefix + name + ".weight");
                std::vector<std::byte> expected(static_cast<std::size_t>(info->bytes));
                checkpoint.tensors().read(*info, expected);
                EXPECT_EQ(std::memcmp(matrix.data, expected.data(), expected.size()), 0) << prefix << name;
                EXPECT_EQ(matrix.rows, info->shape[0]);
                EXPECT_EQ(matrix.cols, info->shape[1]);
            }
        }
    }
}

TEST(ExpertStore, BringsTheBytesOfTheFileByDirectReads) { expectExpertsAsInFile({}, IoMode::Direct); }
TEST(ExpertStore, BringsTheBytesOfTheFileThroughThePageCache) { expectExpertsAsInFile({}, IoMode::Buffered); }
TEST(ExpertStore, BringsExpertsOfSeveralPieces) {
    expectExpertsAsInFile({.layers = 1, .experts = 2, .hidden = 512, .expertWidth = 768, .type = ElementType::F32},
                          IoMode::Direct);
}
TEST(ExpertStore, BringsExpertsThatAreSplitOverShards) { expectExpertsAsInFile({.shards = 7}, IoMode::Direct); }

TEST(ExpertStore, SaysWhichFileWasCutAfterItWasOpened) {
    const test::TemporaryFolder folder;
    test::writeTinyQwen3Moe(folder.path());
    const Checkpoint checkpoint = Checkpoint::open(folder.path());
    const ExpertStore store(checkpoint, IoMode::Buffered);
    const Arena arena(1, store.slotBytes());
    std::filesystem::resize_file(folder.path() / "model.safetensors", 12000);
    try {
        store.readPiece({LayerIndex(2), ExpertId(3)}, 0, arena.slot(SlotIndex(0)));
        FAIL() << "read what is not there";
    } catch (const BadInputError& error) {
        EXPECT_THAT(error.what(),
                    testing::AllOf(testing::HasSubstr("expert 3 of layer 2"), testing::HasSubstr("model.safetensors")));
    }
}

}  // namespace
}  // namespace expertscope
