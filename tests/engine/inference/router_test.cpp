// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/inference/router.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace expertscope {
namespace {

TEST(Router, AgreesWithAStableSortOfTheProbabilities) {
    std::mt19937 random(11);
    std::normal_distribution<float> normal(0, 2);
    for (int round = 0; round < 200; ++round) {
        const int experts = 1 + static_cast<int>(random() % 70);
        const int topK = 1 + static_cast<int>(random() % static_cast<unsigned>(experts));
        std::vector<float> logits(static_cast<std::size_t>(experts));
        for (float& logit : logits)
            logit = std::round(normal(random) * 4) / 4;  // ties are common
        std::vector<float> scratch(logits.size()), weights(static_cast<std::size_t>(topK));
        std::vector<ExpertId> chosen(static_cast<std::size_t>(topK));
        const bool normalise = round % 2 == 0;
        chooseExperts(Kernels::vectorised(), logits.data(), experts, topK, normalise, scratch.data(), chosen.data(),
                      weights.data());

        std::vector<int> order(logits.size());
        std::iota(order.begin(), order.end(), 0);
        std::ranges::stable_sort(order, [&](int a, int b) {
            return logits[static_cast<std::size_t>(a)] > logits[static_cast<std::size_t>(b)];
        });
        double sum = 0, kept = 0;
        for (const float logit : logits)
            sum += std::exp(static_cast<double>(logit));
        for (int i = 0; i < topK; ++i)
            kept += std::exp(static_cast<double>(logits[static_cast<std::size_t>(order[static_cast<std::size_t>(i)])]));
        for (int i = 0; i < topK; ++i) {
            const auto at = static_cast<std::size_t>(i);
            EXPECT_EQ(chosen[at].value(), order[at]);
            const double weight = std::exp(static_cast<double>(logits[static_cast<std::size_t>(order[at])]));
            EXPECT_NEAR(weights[at], weight / (normalise ? kept : sum), 1e-5);
        }
    }
}

TEST(Router, ChoosesEveryExpertOnceThoughLogitsAreNoNumbers) {
    std::vector<float> logits(21, std::nanf("")), scratch(21), weights(19);
    logits[20] = 1;
    logits[6] = 2;
    std::vector<ExpertId> chosen(19);
    chooseExperts(Kernels::vectorised(), logits.data(), 21, 19, false, scratch.data(), chosen.data(), weights.data());
    EXPECT_EQ(chosen[0], ExpertId(6));
    EXPECT_EQ(chosen[1], ExpertId(20));
    std::ranges::sort(chosen);
    EXPECT_TRUE(std::ranges::adjacent_find(chosen) == chosen.end());
    EXPECT_GE(chosen.front().value(), 0);
    EXPECT_LT(chosen.back().value(), 21);
}

}  // namespace
}  // namespace expertscope
