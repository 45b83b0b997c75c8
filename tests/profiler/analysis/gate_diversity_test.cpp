// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/analysis/gate_diversity.h"

#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "engine/base/error.h"

namespace expertscope {
namespace {

TEST(GateDiversity, KnownMatrices) {
    EXPECT_NEAR(gateDiversity(std::vector<float>{1, 0, 0, 2}, 2, 2), 1.0, 1e-12) << "orthogonal";
    EXPECT_NEAR(gateDiversity(std::vector<float>{1, 2, 2, 4, 3, 6}, 3, 2), 0.0, 1e-12) << "parallel";
    EXPECT_NEAR(gateDiversity(std::vector<float>{1, 0, -5, 0}, 2, 2), 2.0, 1e-12) << "opposite";
    EXPECT_NEAR(gateDiversity(std::vector<float>{1, 0, 1, 1}, 2, 2), 1 - std::sqrt(0.5), 1e-12);
}

TEST(GateDiversity, AgreesWithTheMeanOverAllPairs) {
    std::mt19937 random(5);
    std::normal_distribution<float> normal(0.1F, 1.0F);
    const int experts = 17, hidden = 29;
    std::vector<float> rows(static_cast<std::size_t>(experts) * static_cast<std::size_t>(hidden));
    for (float& value : rows)
        value = normal(random);
    double sum = 0;
    for (int i = 0; i < experts; ++i) {
        for (int j = 0; j < experts; ++j) {
            if (i == j) continue;
            double dot = 0, a = 0, b = 0;
            for (int h = 0; h < hidden; ++h) {
                const double x = rows[(static_cast<std::size_t>(i) * hidden) + h];
                const double y = rows[(static_cast<std::size_t>(j) * hidden) + h];
                dot += x * y;
                a += x * x;
                b += y * y;
            }
            sum += dot / std::sqrt(a * b);
        }
    }
    EXPECT_NEAR(gateDiversity(rows, experts, hidden), 1 - sum / (experts * (experts - 1)), 1e-10);
}

TEST(GateDiversity, WhatHasNoAnswerIsNoData) {
    const float nan = std::numeric_limits<float>::quiet_NaN();
    EXPECT_TRUE(std::isnan(gateDiversity({}, 0, 4)));
    EXPECT_TRUE(std::isnan(gateDiversity(std::vector<float>{1, 2}, 1, 2)));
    EXPECT_TRUE(std::isnan(gateDiversity(std::vector<float>{1, 2, 0, 0}, 2, 2)));
    EXPECT_TRUE(std::isnan(gateDiversity(std::vector<float>{1, 2, nan, 0}, 2, 2)));
    EXPECT_THROW(gateDiversity(std::vector<float>{1, 2, 3}, 2, 2), UsageError);
}

}  // namespace
}  // namespace expertscope
