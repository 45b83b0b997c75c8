// SPDX-License-Identifier: GPL-3.0-or-later
// Experts that are computed where they lie: their bits, their records, their failures, and what they cost.

#include "engine/inference/near_memory.h"

#include <cstring>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/base/error.h"
#include "engine/inference/cost_measurement.h"
#include "tests/engine/inference/run_helpers.h"

namespace expertscope {
namespace {

constexpr int kTokens = 5;

class NearMemorySide : public testing::Test {
protected:
    NearMemorySide() {
        test::writeTinyQwen3Moe(m_folder.path(), {.layers = 2, .experts = 6, .topK = 2});
        m_checkpoint = std::make_unique<Checkpoint>(Checkpoint::open(m_folder.path()));
        const ModelConfig& config = m_checkpoint->config();
        std::mt19937 random(7);
        std::normal_distribution<float> normal;
        m_input.resize(static_cast<std::size_t>(kTokens) * static_cast<std::size_t>(config.hidden));
        for (float& value : m_input)
            value = normal(random);
    }
    struct Result {
        std::vector<float> output, norms;
    };
    Result empty() const {
        const ModelConfig& config = m_checkpoint->config();
        return {std::vector<float>(static_cast<std::size_t>(kTokens * config.topK * config.hidden), -7.0F),
                std::vector<float>(static_cast<std::size_t>(kTokens) * static_cast<std::size_t>(config.topK), -7.0F)};
    }
    ExpertRows rows(Result& result) const { return {m_input.data(), result.output.data(), result.norms.data()}; }
    /// Damages the model: only what the opened checkpoint remembers is left.
    void truncateWeights() const { std::filesystem::resize_file(m_folder.path() / "model.safetensors", 64); }

    test::TemporaryFolder m_folder;
    std::unique_ptr<Checkpoint> m_checkpoint;
    std::vector<float> m_input;
    std::vector<std::vector<int>> m_uses{{0, 3, 8}, {1, 6}, {2}};
    std::vector<ExpertRef> m_experts{
        {LayerIndex(1), ExpertId(4)}, {LayerIndex(1), ExpertId(0)}, {LayerIndex(0), ExpertId(5)}};
};

TEST_F(NearMemorySide, GivesTheBitsOfTheDevice) {
    const Kernels& kernels = Kernels::vectorised();
    Result device = empty();
    const ExpertStore store(*m_checkpoint, IoMode::Buffered);
    const Arena arena(1, store.slotBytes());
    ExpertScratch scratch(m_checkpoint->config());
    for (std::size_t i = 0; i < m_experts.size(); ++i) {
        for (int piece = 0; piece < store.pieces(m_experts[i]); ++piece)
            store.readPiece(m_experts[i], piece, arena.slot(SlotIndex(0)));
        ASSERT_TRUE(runExpert(kernels, m_checkpoint->config(), store.weights(m_experts[i], arena.slot(SlotIndex(0))),
                              m_uses[i], rows(device), scratch));
    }
    Result near = empty();
    Observer nobody;
    NearMemory side(*m_checkpoint, kernels, {}, nobody);
    for (int round = 0; round < 20; ++round) {
        near = empty();
        for (std::size_t i = 0; i < m_experts.size(); ++i)
            side.submit(
                {.expert = m_experts[i], .access = static_cast<int>(i), .uses = m_uses[i], .step = StepIndex(0)},
                rows(near));
        EXPECT_EQ(side.wait(), -1);
        EXPECT_EQ(std::memcmp(near.output.data(), device.output.data(), device.output.size() * sizeof(float)), 0);
        EXPECT_EQ(near.norms, device.norms);
    }
}

TEST_F(NearMemorySide, RecordsASpanForEachTaskOnItsOwnLane) {
    test::RunLog log;
    Result result = empty();
    {
        NearMemory side(*m_checkpoint, Kernels::vectorised(), {}, log);
        for (std::size_t i = 0; i < m_experts.size(); ++i)
            side.submit({.expert = m_experts[i], .access = 0, .uses = m_uses[i], .step = StepIndex(9)}, rows(result));
        side.wait();
    }
    ASSERT_EQ(log.spans.size(), m_experts.size());
    for (std::size_t i = 0; i < m_experts.size(); ++i) {
        const SpanRecord& span = log.spans[i];
        EXPECT_EQ(span.lane, LaneId(200));
        EXPECT_EQ(span.kind, SpanKind::ExpertCompute);
        EXPECT_EQ(span.layer, m_experts[i].layer);
        EXPECT_EQ(span.expert, m_experts[i].expert);
        EXPECT_EQ(span.step, StepIndex(9));
        EXPECT_EQ(span.amount, static_cast<std::int64_t>(m_uses[i].size()));
        EXPECT_LT(span.start, span.end);
        if (i > 0) { EXPECT_LE(log.spans[i - 1].end, span.start); }
    }
}

TEST_F(NearMemorySide, CarriesAFailingReadToWhoWaits) {
    Observer nobody;
    NearMemory side(*m_checkpoint, Kernels::vectorised(), {}, nobody);
    Result result = empty();
    truncateWeights();
    side.submit({.expert = m_experts[0], .access = 0, .uses = m_uses[0], .step = StepIndex(0)}, rows(result));
    side.submit({.expert = m_experts[1], .access = 1, .uses = m_uses[1], .step = StepIndex(0)}, rows(result));
    EXPECT_THROW(side.wait(), BadInputError);
}

TEST_F(NearMemorySide, EndsWhateverIsStillQueued) {
    Observer nobody;
    Result result = empty();
    NearMemory side(*m_checkpoint, Kernels::vectorised(), {}, nobody);
    for (int i = 0; i < 200; ++i)
        side.submit({.expert = m_experts[0], .access = 0, .uses = m_uses[0], .step = StepIndex(0)}, rows(result));
}

TEST_F(NearMemorySide, IsALaneOfTheRunsThatUseItAndItsChoicesSaySo) {
    const auto run = [&](const char* policy, test::RunLog& log) {
        EngineOptions options;
        options.policy = policy;
        options.threads = 2;
        options.budget = SizeSpec{.share = {}, .bytes = m_checkpoint->expertBytes() * 5};
        return test::runOnce(*m_checkpoint, options, test::request({5, 17, 80}, 6), log);
    };
    test::RunLog placed, fetched;
    run("static", placed);
    run("on-demand", fetched);
    const auto isNear = [](const LaneInfo& lane) { return lane.role == LaneRole::NearMemory; };
    ASSERT_EQ(std::ranges::count_if(placed.lanes, isNear), 1);
    EXPECT_EQ(std::ranges::find_if(placed.lanes, isNear)->lane, NearMemory::kLane);
    EXPECT_EQ(std::ranges::count_if(fetched.lanes, isNear), 0);
    int inPlace = 0, device = 0;
    for (const SelectionRecord& selection : placed.selections) {
        (selection.action == SelectionAction::InPlace ? inPlace : device) += 1;
        EXPECT_EQ(selection.action == SelectionAction::InPlace, selection.outcome == Outcome::Miss);
    }
    EXPECT_GT(inPlace, 0);
    EXPECT_GT(device, 0);
    std::int64_t tokens = 0;
    for (const SpanRecord& span : placed.spans)
        if (span.lane == NearMemory::kLane) tokens += span.amount;
    EXPECT_EQ(tokens, inPlace);
}

TEST_F(NearMemorySide, StopsTheRunWithTheSentenceOfAFailingRead) {
    EngineOptions options;
    options.policy = "static:mode=front-loading";
    options.threads = 2;
    options.budget = SizeSpec{.share = {}, .bytes = m_checkpoint->expertBytes() * 6};  // layer 0; layer 1 in place
    Observer nobody;
    Engine engine(*m_checkpoint, nullptr, options, nobody);
    engine.start();
    truncateWeights();
    EXPECT_THROW(engine.generate(test::request({5, 17, 80}, 6)), BadInputError);
}

// ---- costs

TEST_F(NearMemorySide, MeasuresCostsThatARunMeets) {
    const auto link = parseLink("20MB/s@100us");
    const OffloadCosts paced = measureCosts(*m_checkpoint, Kernels::vectorised(), IoMode::Buffered, link);
    EXPECT_TRUE(paced.known());
    EXPECT_GE(paced.transfer, link.duration(m_checkpoint->expertBytes()));
    EXPECT_GT(paced.inPlace.count(), 0);
    EXPECT_GE(paced.computeToken.count(), 0);
    EXPECT_GE(paced.inPlaceToken.count(), 0);
}

TEST_F(NearMemorySide, DescribesTheCostsThatAPolicyDecidesByAndTakesThemAsGiven) {
    const auto described = [&](const char* policy, const OffloadCosts& costs) {
        EngineOptions options;
        options.policy = policy;
        options.costs = costs;
        Observer nobody;
        return Engine(*m_checkpoint, nullptr, options, nobody).describe().costs;
    };
    EXPECT_TRUE(described("monde", {}).known());
    EXPECT_TRUE(described("static", {}).known());  // computes in place: a replay needs to know for how long
    EXPECT_FALSE(described("on-demand", {}).known());
    OffloadCosts given;
    given.transfer = Nanoseconds(5);
    given.compute = Nanoseconds(3);
    EXPECT_EQ(described("monde", given).transfer, Nanoseconds(5));
    EXPECT_EQ(described("monde", given).inPlace, Nanoseconds(0));
}

TEST_F(NearMemorySide, GivenCostsDecideWhatMoves) {
    const auto moved = [&](const OffloadCosts& costs) {
        EngineOptions options;
        options.policy = "monde";
        options.threads = 2;
        options.costs = costs;
        test::RunLog log;
        return test::runOnce(*m_checkpoint, options, test::request({5, 17, 80}, 6), log).summary.moved;
    };
    OffloadCosts cheapLink{.transfer = Nanoseconds(1),
                           .compute = Nanoseconds(1),
                           .computeToken = Nanoseconds(0),
                           .inPlace = Nanoseconds(1'000'000),
                           .inPlaceToken = Nanoseconds(1'000'000)};
    OffloadCosts dearLink{.transfer = Nanoseconds(1'000'000'000),
                          .compute = Nanoseconds(1),
                          .computeToken = Nanoseconds(0),
                          .inPlace = Nanoseconds(1),
                          .inPlaceToken = Nanoseconds(1)};
    EXPECT_GT(moved(cheapLink).count(), 0);
    EXPECT_EQ(moved(dearLink).count(), 0);
}

}  // namespace
}  // namespace expertscope
