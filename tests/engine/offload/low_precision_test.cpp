// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/offload/low_precision.h"

#include <cmath>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/model/element_convert.h"
#include "engine/offload/transfer_queue.h"
#include "tests/engine/model/safetensors_writer.h"

namespace expertscope {
namespace {

std::vector<float> throughInt4(const std::vector<float>& row) {
    std::vector<std::byte> packed(int4::rowBytes(static_cast<int>(row.size())));
    int4::pack(row, packed.data());
    std::vector<float> back(row.size());
    int4::unpack(packed.data(), back);
    return back;
}

TEST(Int4, TakesEighteenBytesForThirtyTwoValues) {
    EXPECT_EQ(int4::rowBytes(32), 18U);
    EXPECT_EQ(int4::rowBytes(64), 36U);
    EXPECT_EQ(int4::rowBytes(33), 36U);
}

TEST(Int4, KeepsTheSixteenMultiplesOfAScale) {
    std::vector<float> row;
    for (int i = 0; i < 32; ++i)
        row.push_back(0.5F * static_cast<float>(i % 16 - 8));
    EXPECT_EQ(throughInt4(row), row);
    for (float& value : row)
        value = -value;
    EXPECT_EQ(throughInt4(row), row);
}

TEST(Int4, OfZerosIsZeros) { EXPECT_EQ(throughInt4(std::vector<float>(40, 0.0F)), std::vector<float>(40, 0.0F)); }

TEST(Int4, MissesAValueByAtMostAStepOfItsGroup) {
    std::mt19937 random(1);
    std::normal_distribution<float> normal;
    std::vector<float> row(200);  // the last group has 8
    for (float& value : row)
        value = normal(random);
    const std::vector<float> back = throughInt4(row);
    double error = 0, size = 0;
    for (std::size_t group = 0; group < row.size(); group += 32) {
        const std::size_t end = std::min(row.size(), group + 32);
        float largest = 0;
        for (std::size_t i = group; i < end; ++i)
            largest = std::max(largest, std::abs(row[i]));
        for (std::size_t i = group; i < end; ++i) {
            EXPECT_LE(std::abs(row[i] - back[i]), largest / 8 * 1.01F) << i;
            error += std::pow(static_cast<double>(row[i] - back[i]), 2);
            size += std::pow(static_cast<double>(row[i]), 2);
        }
    }
    EXPECT_LT(std::sqrt(error / size), 0.12);
}

TEST(LowPrecisionCopies, OfEveryExpertAreNearItsMatrices) {
    const test::TemporaryFolder folder;
    test::writeTinyQwen3Moe(folder.path());
    const Checkpoint checkpoint = Checkpoint::open(folder.path());
    const ModelConfig& config = checkpoint.config();
    const LowPrecisionCopies copies(checkpoint);
    const std::size_t matrix =
        static_cast<std::size_t>(config.expertWidth) * static_cast<std::size_t>(int4::rowBytes(config.hidden)) * 2 +
        static_cast<std::size_t>(config.hidden) * int4::rowBytes(config.expertWidth);
    EXPECT_EQ(copies.expertBytes().count(), static_cast<std::int64_t>(matrix));
    const ExpertStore store(checkpoint, IoMode::Buffered);
    const Arena whole(1, store.slotBytes());
    const Arena small(1, matrix);
    std::vector<float> expanded(copies.expandedSize());
    for (const ExpertRef ref : {ExpertRef{LayerIndex(0), ExpertId(0)},
                                ExpertRef{LayerIndex(config.layers - 1), ExpertId(config.experts - 1)}}) {
        for (int piece = 0; piece < store.pieces(ref); ++piece)
            store.readPiece(ref, piece, whole.slot(SlotIndex(0)));
        Bytes read;
        for (int piece = 0; piece < copies.pieces(ref); ++piece)
            read += copies.readPiece(ref, piece, small.slot(SlotIndex(0)));
        EXPECT_EQ(read, copies.expertBytes());
        const ExpertWeights exact = store.weights(ref, whole.slot(SlotIndex(0)));
        const ExpertWeights copy = copies.expand(small.slot(SlotIndex(0)), expanded);
        const std::pair<MatrixView, MatrixView> pairs[] = {
            {exact.gate, copy.gate}, {exact.up, copy.up}, {exact.down, copy.down}};
        for (const auto& [a, b] : pairs) {
            ASSERT_EQ(a.rows, b.rows);
            ASSERT_EQ(a.cols, b.cols);
            ASSERT_EQ(b.type, ElementType::F32);
            const auto count = static_cast<std::size_t>(a.rows) * static_cast<std::size_t>(a.cols);
            std::vector<float> wanted(count);
            convertToFloats(a.type, {a.data, count * elementSize(a.type)}, wanted);
            const auto* const got = reinterpret_cast<const float*>(b.data);
            double error = 0, size = 0;
            for (std::size_t i = 0; i < count; ++i) {
                error += std::pow(static_cast<double>(wanted[i] - got[i]), 2);
                size += std::pow(static_cast<double>(wanted[i]), 2);
            }
            EXPECT_LT(std::sqrt(error / size), 0.15);
        }
    }
}

}  // namespace
}  // namespace expertscope
