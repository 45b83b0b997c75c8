// SPDX-License-Identifier: GPL-3.0-or-later
#include "storage/deep_vectors.h"

#include <bit>
#include <cstring>
#include <limits>

#include <gtest/gtest.h>

#include "engine/base/error.h"
#include "storage/session_writer.h"
#include "storage/sqlite_db.h"
#include "tests/storage/sample_records.h"

namespace expertscope {
namespace {

constexpr int kExperts = 3, kHidden = 2, kNeurons = 4;

/// Tokens first … first + count − 1 of layer 4 whose values say where they stand.
struct SampleVectors {
    SampleVectors(int first, int count) {
        for (int t = first; t < first + count; ++t) {
            index.push_back(t);
            const auto fill = [&](std::vector<float>& values, int width, float kind) {
                for (int i = 0; i < width; ++i)
                    values.push_back(kind + static_cast<float>(t) + static_cast<float>(i) / 16);
            };
            fill(inputs, kHidden, 1000);
            fill(after, kHidden, 2000);
            fill(logits, kExperts, 3000);
            fill(weights, kExperts, 4000);
            weights.back() = std::numeric_limits<float>::quiet_NaN();
            fill(outputs, kExperts * kHidden, -0.1F);
            fill(activations, kExperts * kNeurons, 5000);
        }
    }
    DeepRawBlock block() const {
        return {.layer = LayerIndex(4),
                .made = {.tokens = static_cast<int>(index.size()),
                         .experts = kExperts,
                         .hidden = kHidden,
                         .index = index,
                         .logits = logits,
                         .weights = weights,
                         .outputs = outputs},
                .inputs = inputs,
                .after = after,
                .activations = activations};
    }
    std::vector<std::int32_t> index;
    std::vector<float> inputs, after, logits, weights, outputs, activations;
};

TEST(DeepVectors, ComeBackInOrderOfTheTokensBitForBit) {
    const TemporaryFolder folder;
    const std::filesystem::path session = folder / "s.esdb";
    SessionWriter(session).close();
    EXPECT_TRUE(deepVectors(session, RunId(1)).empty()) << "no table yet";
    keepDeepVectors(session, RunId(1), SampleVectors(5, 2).block());
    keepDeepVectors(session, RunId(1), SampleVectors(7, 3).block());
    keepDeepVectors(session, RunId(2), SampleVectors(0, 1).block());
    const SampleVectors all(5, 5);
    const std::vector<DeepVectors> kinds = deepVectors(session, RunId(1));
    ASSERT_EQ(kinds.size(), 7U);
    for (const DeepVectors& kind : kinds) {
        EXPECT_EQ(kind.layer, LayerIndex(4));
        EXPECT_EQ(kind.rows, 5);
        std::string bytes;
        eachDeepVectorBlock(session, RunId(1), kind.layer, kind.name, [&](std::string_view some) { bytes += some; });
        const auto expectSame = [&](const auto& values) {
            ASSERT_EQ(bytes.size(), values.size() * 4) << kind.name;
            EXPECT_EQ(kind.columns, std::ssize(values) / 5) << kind.name;
            for (std::size_t v = 0; v < values.size(); ++v) {
                const auto bits = std::bit_cast<std::uint32_t>(values[v]);
                for (std::size_t i = 0; i < 4; ++i)
                    ASSERT_EQ(static_cast<unsigned char>(bytes[v * 4 + i]), bits >> (8 * i) & 0xFFU) << kind.name;
            }
        };
        if (kind.name == "tokens") expectSame(all.index);
        if (kind.name == "inputs") expectSame(all.inputs);
        if (kind.name == "after") expectSame(all.after);
        if (kind.name == "logits") expectSame(all.logits);
        if (kind.name == "weights") expectSame(all.weights);
        if (kind.name == "outputs") expectSame(all.outputs);
        if (kind.name == "activations") expectSame(all.activations);
    }
    EXPECT_EQ(deepVectorValues(session, RunId(1), LayerIndex(4), "outputs"), all.outputs);
    EXPECT_TRUE(deepVectorValues(session, RunId(1), LayerIndex(5), "outputs").empty());
    EXPECT_EQ(deepVectorTokens(session, RunId(1), LayerIndex(4)), all.index);
    EXPECT_TRUE(deepVectorTokens(session, RunId(1), LayerIndex(5)).empty());
    for (const int token : {5, 6, 7, 9}) {
        const SampleVectors one(token, 1);
        EXPECT_EQ(deepVectorOf(session, RunId(1), LayerIndex(4), TokenIndex(token), "activations"), one.activations);
        EXPECT_EQ(deepVectorOf(session, RunId(1), LayerIndex(4), TokenIndex(token), "inputs"), one.inputs);
    }
    for (const int token : {4, 10})
        EXPECT_TRUE(deepVectorOf(session, RunId(1), LayerIndex(4), TokenIndex(token), "inputs").empty()) << token;
    EXPECT_TRUE(deepVectorOf(session, RunId(1), LayerIndex(4), TokenIndex(5), "unknown").empty());
    // deepRawBytes() is what a token takes.
    std::int64_t bytes = 0;
    for (const DeepVectors& kind : kinds)
        bytes += kind.rows * kind.columns * 4;
    EXPECT_EQ(deepRawBytes(kExperts, kHidden, kNeurons) * 5, Bytes(bytes));
}

TEST(DeepVectors, ThatAreCutShortAreRefused) {
    const TemporaryFolder folder;
    const std::filesystem::path session = folder / "s.esdb";
    SessionWriter(session).close();
    keepDeepVectors(session, RunId(1), SampleVectors(5, 2).block());
    Database(session, OpenMode::Existing).execute("UPDATE deep_vector SET data=x'00' WHERE name='outputs'");
    EXPECT_THROW(deepVectors(session, RunId(1)), BadInputError);
    EXPECT_THROW(deepVectorOf(session, RunId(1), LayerIndex(4), TokenIndex(6), "outputs"), BadInputError);
    EXPECT_THROW(deepVectors(folder / "none.esdb", RunId(1)), BadInputError);
}

}  // namespace
}  // namespace expertscope
