// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/inference/sampler.h"

#include <array>
#include <cmath>
#include <vector>

#include <gtest/gtest.h>

namespace expertscope {
namespace {

const std::vector<float> kLogits{std::log(0.1F), std::log(0.4F), std::log(0.2F), std::log(0.3F)};

std::array<double, 4> shares(const SamplingOptions& options, int draws = 20000) {
    Sampler sampler(options, 4);
    std::array<double, 4> counts{};
    for (int i = 0; i < draws; ++i)
        counts[static_cast<std::size_t>(sampler.choose(kLogits))] += 1.0 / draws;
    return counts;
}

TEST(Sampler, TakesTheHighestLogitAndOfEqualsTheLowestId) {
    Sampler sampler({}, 4);
    EXPECT_EQ(sampler.choose(kLogits), 1);
    EXPECT_EQ(sampler.choose(std::vector<float>{1, 3, 3, 2}), 1);
}

TEST(Sampler, DrawsByProbability) {
    const auto drawn = shares({.temperature = 1, .topP = 1, .seed = 4});
    for (std::size_t id = 0; id < 4; ++id)
        EXPECT_NEAR(drawn[id], std::exp(kLogits[id]), 0.015);
}

TEST(Sampler, SharpensWithLowTemperature) {
    const auto drawn = shares({.temperature = 0.5F, .topP = 1, .seed = 4});
    const double sum = 0.01 + 0.16 + 0.04 + 0.09;
    EXPECT_NEAR(drawn[1], 0.16 / sum, 0.015);
    EXPECT_NEAR(drawn[0], 0.01 / sum, 0.015);
}

TEST(Sampler, CutsToTheSmallestSetThatReachesTopP) {
    const auto drawn = shares({.temperature = 1, .topP = 0.65F, .seed = 4});
    EXPECT_EQ(drawn[0] + drawn[2], 0);
    EXPECT_NEAR(drawn[1], 0.4 / 0.7, 0.015);
}

TEST(Sampler, RepeatsItselfForASeed) {
    std::vector<std::int32_t> a, b, c;
    Sampler first({.temperature = 1, .topP = 1, .seed = 9}, 4), second({.temperature = 1, .topP = 1, .seed = 9}, 4),
        other({.temperature = 1, .topP = 1, .seed = 10}, 4);
    for (int i = 0; i < 50; ++i) {
        a.push_back(first.choose(kLogits));
        b.push_back(second.choose(kLogits));
        c.push_back(other.choose(kLogits));
    }
    EXPECT_EQ(a, b);
    EXPECT_NE(a, c);
}

TEST(LogProbability, IsTheLogOfTheSoftmax) {
    std::vector<float> scratch(4);
    for (int id = 0; id < 4; ++id)
        EXPECT_NEAR(logProbability(Kernels::vectorised(), kLogits, id, scratch), kLogits[static_cast<std::size_t>(id)],
                    1e-6);
}

}  // namespace
}  // namespace expertscope
