// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/analysis/selected_norms.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <random>

#include <gtest/gtest.h>

namespace expertscope {
namespace {

constexpr float kNone = std::numeric_limits<float>::quiet_NaN();

ModelFacts model(int layers, int experts, int topK) {
    ModelFacts facts;
    facts.layers = layers;
    facts.experts = experts;
    facts.topK = topK;
    return facts;
}

SelectionRecord choice(int token, int layer, int slot, int expert, float weight, float norm) {
    SelectionRecord record;
    record.step = StepIndex(token);
    record.token = TokenIndex(token);
    record.layer = LayerIndex(layer);
    record.slot = slot;
    record.expert = ExpertId(expert);
    record.weight = weight;
    record.norm = norm;
    return record;
}

/// Random choices of `tokens` tokens, by falling weight as engines record them.
std::vector<SelectionRecord> randomChoices(const ModelFacts& facts, int tokens) {
    std::mt19937 random(7);
    std::uniform_real_distribution<float> number(0.1F, 3);
    std::vector<SelectionRecord> records;
    std::vector<int> experts(static_cast<std::size_t>(facts.experts));
    for (int t = 0; t < tokens; ++t) {
        for (int l = 0; l < facts.layers; ++l) {
            for (std::size_t e = 0; e < experts.size(); ++e)
                experts[e] = static_cast<int>(e);
            std::ranges::shuffle(experts, random);
            std::vector<float> weights;
            for (int slot = 0; slot < facts.topK; ++slot)
                weights.push_back(number(random));
            std::ranges::sort(weights, std::ranges::greater{});
            for (int slot = 0; slot < facts.topK; ++slot) {
                const auto s = static_cast<std::size_t>(slot);
                records.push_back(choice(t, l, slot, experts[s], weights[s], number(random)));
            }
        }
    }
    return records;
}

SelectedNorms count(const ModelFacts& facts, const std::vector<SelectionRecord>& records) {
    SelectedNorms norms(facts);
    // In pieces, as a file gives them: a token's choices may lie in two.
    for (std::size_t at = 0; at < records.size(); at += 5)
        norms.add(std::span(records).subspan(at, std::min<std::size_t>(5, records.size() - at)));
    norms.finish();
    return norms;
}

TEST(SelectedNorms, AreThePlainSumsOfEachCell) {
    const ModelFacts facts = model(3, 6, 3);
    const auto records = randomChoices(facts, 40);
    const SelectedNorms norms = count(facts, records);
    for (int layer = 0; layer < 3; ++layer) {
        for (int expert = 0; expert < 6; ++expert) {
            std::int64_t tokens = 0;
            double weights = 0, sum = 0, weighted = 0, largest = 0;
            for (const SelectionRecord& record : records) {
                if (record.layer.value() != layer || record.expert.value() != expert) continue;
                const double norm = static_cast<double>(record.norm), weight = static_cast<double>(record.weight);
                ++tokens;
                weights += weight;
                sum += norm;
                weighted += weight * norm;
                largest = std::max(largest, norm);
            }
            const SelectedNorms::Expert& at = norms.at(LayerIndex(layer), ExpertId(expert));
            ASSERT_GT(tokens, 0);
            EXPECT_EQ(at.tokens, tokens);
            EXPECT_NEAR(at.weights, weights, 1e-9);
            EXPECT_NEAR(at.meanNorm(), sum / static_cast<double>(tokens), 1e-9);
            EXPECT_NEAR(at.reap(), weighted / static_cast<double>(tokens), 1e-9);
            EXPECT_EQ(at.largest(), largest);
        }
    }
    EXPECT_EQ(norms.selections(), 3 * 40 * 3);
    EXPECT_EQ(norms.withNorm(), norms.selections());
    EXPECT_EQ(norms.withoutRanks(), 0);
}

TEST(SelectedNorms, RankWeightAgainstNormAsSortingDoes) {
    const ModelFacts facts = model(2, 8, 4);
    const auto records = randomChoices(facts, 50);
    const SelectedNorms norms = count(facts, records);
    for (int layer = 0; layer < 2; ++layer) {
        std::map<int, std::vector<const SelectionRecord*>> byToken;
        for (const SelectionRecord& record : records)
            if (record.layer.value() == layer) byToken[record.token.value()].push_back(&record);
        std::vector<std::int64_t> counts(16, 0);
        double rho = 0;
        for (const auto& [token, of] : byToken) {
            // Pearson's correlation of the ranks, each counted as the number of smaller ones.
            double sumW = 0, sumN = 0, ww = 0, nn = 0, wn = 0;
            for (const SelectionRecord* record : of) {
                double w = 0, n = 0;
                for (const SelectionRecord* other : of) {
                    w += other->weight < record->weight ? 1 : 0;
                    n += other->norm < record->norm ? 1 : 0;
                }
                ++counts[static_cast<std::size_t>(w * 4 + n)];
                sumW += w, sumN += n, ww += w * w, nn += n * n, wn += w * n;
            }
            rho += (4 * wn - sumW * sumN) / std::sqrt((4 * ww - sumW * sumW) * (4 * nn - sumN * sumN));
        }
        EXPECT_EQ(norms.ranks(LayerIndex(layer)).counts, counts);
        EXPECT_NEAR(norms.ranks(LayerIndex(layer)).correlation, rho / 50, 1e-12);
    }
    const SelectedNorms::Ranks all = norms.allRanks();
    EXPECT_EQ(all.tokens, 100);
    EXPECT_NEAR(all.correlation, (norms.ranks(LayerIndex(0)).correlation + norms.ranks(LayerIndex(1)).correlation) / 2,
                1e-12);
    EXPECT_EQ(all.counts[5], norms.ranks(LayerIndex(0)).counts[5] + norms.ranks(LayerIndex(1)).counts[5]);
}

TEST(SelectedNorms, LeaveOutWhatWasDroppedOrNotRecorded) {
    const ModelFacts facts = model(1, 4, 2);
    std::vector<SelectionRecord> records{
        choice(0, 0, 0, 1, 0.6F, 2), choice(0, 0, 1, 2, 0.4F, kNone),  // half without a norm
        choice(1, 0, 0, 1, 0.7F, 4), choice(1, 0, 1, 3, 0.3F, 5),      // the second is dropped
        choice(2, 0, 0, 1, 0.8F, 6), choice(2, 0, 1, 0, 0.2F, 1),      // whole
        choice(2, 0, 1, 9, 0.2F, 1),                                   // no such expert
    };
    records[3].action = SelectionAction::Dropped;
    const SelectedNorms norms = count(facts, records);
    EXPECT_EQ(norms.selections(), 5);
    EXPECT_EQ(norms.withNorm(), 4);
    EXPECT_EQ(norms.at(LayerIndex(0), ExpertId(1)).meanNorm(), 4);
    EXPECT_EQ(norms.at(LayerIndex(0), ExpertId(2)).tokens, 1);
    EXPECT_TRUE(std::isnan(norms.at(LayerIndex(0), ExpertId(2)).meanNorm()));
    EXPECT_EQ(norms.at(LayerIndex(0), ExpertId(3)).tokens, 0);
    EXPECT_TRUE(std::isnan(norms.at(LayerIndex(0), ExpertId(3)).reap()));
    EXPECT_EQ(norms.ranks(LayerIndex(0)).tokens, 1);
    EXPECT_EQ(norms.ranks(LayerIndex(0)).correlation, 1);
    EXPECT_EQ(norms.withoutRanks(), 2);
}

TEST(SelectedNorms, OfNothingAreNoNumbers) {
    const SelectedNorms norms = count(model(2, 3, 1), {});
    EXPECT_EQ(norms.selections(), 0);
    EXPECT_TRUE(std::isnan(norms.at(LayerIndex(1), ExpertId(2)).meanNorm()));
    EXPECT_TRUE(std::isnan(norms.ranks(LayerIndex(0)).correlation));
    EXPECT_TRUE(std::isnan(norms.allRanks().correlation));
}

}  // namespace
}  // namespace expertscope
