// SPDX-License-Identifier: GPL-3.0-or-later
// The numerical parts of the analyses of weights, each alone against a plainer way to the same numbers.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>

#include <Eigen/Dense>
#include <gmock/gmock.h>

#include "profiler/analysis/weights/assignment.h"
#include "profiler/analysis/weights/gate_regression.h"
#include "profiler/analysis/weights/largest_eigenpairs.h"
#include "profiler/analysis/weights/outliers.h"
#include "profiler/analysis/weights/stable_rank.h"

namespace expertscope {
namespace {

constexpr double kNoData = std::numeric_limits<double>::quiet_NaN();

float gainOf(const std::vector<float>& gains, const std::vector<std::int32_t>& columns) {
    float sum = 0;
    for (std::size_t row = 0; row < columns.size(); ++row)
        sum += gains[row * columns.size() + static_cast<std::size_t>(columns[row])];
    return sum;
}

/// The most that any of all permutations gives.
float mostGain(const std::vector<float>& gains, std::size_t n) {
    std::vector<std::int32_t> columns(n);
    std::iota(columns.begin(), columns.end(), 0);
    float most = gainOf(gains, columns);
    while (std::next_permutation(columns.begin(), columns.end()))
        most = std::max(most, gainOf(gains, columns));
    return most;
}

TEST(WeightAssignment, IsTheBestOfAllPermutations) {
    std::mt19937 random(7);
    for (int round = 0; round < 200; ++round) {
        const std::size_t n = 1 + static_cast<std::size_t>(round) % 6;
        const unsigned values = round % 2 == 0 ? 1000 : 3;  // with three values ties are everywhere
        std::vector<float> gains(n * n);
        for (float& gain : gains)
            gain = static_cast<float>(random() % values) - 1;
        const std::vector<std::int32_t> columns = bestAssignment(gains, n);
        std::vector<std::int32_t> sorted = columns;
        std::ranges::sort(sorted);
        for (std::size_t i = 0; i < n; ++i)
            ASSERT_EQ(sorted[i], static_cast<std::int32_t>(i)) << "not a permutation";
        EXPECT_EQ(gainOf(gains, columns), mostGain(gains, n));
    }
}

TEST(WeightAssignment, GainsWhatScipyGains) {
    constexpr std::size_t kSize = 60;
    std::vector<float> gains(kSize * kSize);
    for (std::size_t i = 0; i < kSize; ++i)
        for (std::size_t j = 0; j < kSize; ++j)
            gains[i * kSize + j] = static_cast<float>((i * 37 + j * 101 + i * j * 13 + (i * i * j) % 71 * 5) % 1009);
    EXPECT_EQ(gainOf(gains, bestAssignment(gains, kSize)), 58923.0F)
        << "scipy 1.10: linear_sum_assignment(gains, maximize=True)";
}

TEST(WeightAssignment, EndsWhereItsPauseThrows) {
    struct Enough {};
    constexpr std::size_t kSize = 60;
    std::mt19937 random(3);
    std::vector<float> gains(kSize * kSize);
    for (float& gain : gains)
        gain = static_cast<float>(random() % 1000);
    double last = 0;
    int rows = 0;
    EXPECT_THROW(bestAssignment(gains, kSize,
                                [&](double part) {
                                    EXPECT_GE(part, last);
                                    last = part;
                                    if (++rows == 3) throw Enough();
                                }),
                 Enough);
    EXPECT_EQ(rows, 3);
    EXPECT_LT(last, 1);
}

TEST(WeightAssignment, KendallTauCountsPairsInTheWrongOrder) {
    EXPECT_EQ(kendallTau(std::vector<std::int32_t>{0, 1, 2, 3}), 1);
    EXPECT_EQ(kendallTau(std::vector<std::int32_t>{3, 2, 1, 0}), -1);
    std::vector<std::int32_t> order(101);
    std::iota(order.begin(), order.end(), 0);
    std::ranges::shuffle(order, std::mt19937(3));
    int inversions = 0;
    for (std::size_t i = 0; i < order.size(); ++i)
        for (std::size_t j = i + 1; j < order.size(); ++j)
            inversions += order[i] > order[j] ? 1 : 0;
    EXPECT_DOUBLE_EQ(kendallTau(order), 1 - 2 * inversions / (101 * 100 / 2.0));
    EXPECT_TRUE(std::isnan(kendallTau(std::vector<std::int32_t>{0})));
}

/// x → A x for a dense matrix.
auto operatorOf(const Eigen::MatrixXd& matrix) {
    return [&matrix](std::span<const double> x, std::span<double> y) {
        const auto n = static_cast<Eigen::Index>(x.size());
        Eigen::Map<Eigen::VectorXd>(y.data(), n) = matrix * Eigen::Map<const Eigen::VectorXd>(x.data(), n);
    };
}

TEST(WeightEigenpairs, AreTheLargestOfTheWholeMatrix) {
    std::srand(11);  // Eigen's Random()
    for (const Eigen::Index n : {1, 2, 7, 60, 400}) {
        const Eigen::MatrixXd half = Eigen::MatrixXd::Random(n, n + 3);
        const Eigen::MatrixXd matrix = half * half.transpose();
        const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> whole(matrix);
        const auto pairs = largestEigenpairs(static_cast<std::size_t>(n), 3, 1e-9, operatorOf(matrix));
        ASSERT_EQ(pairs.size(), static_cast<std::size_t>(std::min<Eigen::Index>(n, 3)));
        for (std::size_t k = 0; k < pairs.size(); ++k) {
            const double value = whole.eigenvalues()[n - 1 - static_cast<Eigen::Index>(k)];
            EXPECT_NEAR(pairs[k].value, value, 1e-9 * whole.eigenvalues()[n - 1]) << n;
            const Eigen::Map<const Eigen::VectorXd> vector(pairs[k].vector.data(), n);
            EXPECT_LT((matrix * vector - value * vector).norm(), 1e-7 * whole.eigenvalues()[n - 1]) << n;
        }
    }
}

TEST(WeightEigenpairs, FindAnEigenvalueAsOftenAsItIsThere) {
    Eigen::VectorXd values = Eigen::VectorXd::Constant(40, 1.0);
    values.tail(2).setConstant(5.0);
    const Eigen::MatrixXd matrix = values.asDiagonal();
    const auto pairs = largestEigenpairs(40, 3, 1e-9, operatorOf(matrix));
    EXPECT_NEAR(pairs[0].value, 5, 1e-9);
    EXPECT_NEAR(pairs[1].value, 5, 1e-9);
    EXPECT_NEAR(pairs[2].value, 1, 1e-9);
}

TEST(WeightStableRank, KnowsTheLargestGainOfAMatrix) {
    EXPECT_EQ(spectralNorm(std::vector<float>(12, 0.0F), 3), 0);
    EXPECT_NEAR(spectralNorm(std::vector<float>{3, 0, 0, 0, -4, 0}, 2), 4, 1e-6);
    EXPECT_NEAR(spectralNorm(std::vector<float>(50, 2.0F), 5), 2 * std::sqrt(50.0), 1e-5) << "one direction";
    EXPECT_TRUE(std::isnan(spectralNorm(std::vector<float>{1, std::numeric_limits<float>::infinity()}, 1)));
}

TEST(WeightOutliers, AreMeasuredByMediansThatTheyDoNotMove) {
    const std::vector<double> scores = modifiedScores(std::vector{1.0, 2.0, 3.0, 4.0, 100.0});
    EXPECT_NEAR(scores[4], 0.6745 * 97, 1e-9) << "median 3, median distance 1";
    EXPECT_NEAR(scores[0], -0.6745 * 2, 1e-9);
    const std::vector<double> mostlyAlike = modifiedScores(std::vector{2.0, 2.0, 2.0, 2.0, 7.0});
    EXPECT_NEAR(mostlyAlike[4], 5 / 1.253314, 1e-9) << "mean distance 1 where the median distance is 0";
    EXPECT_EQ(modifiedScores(std::vector{4.0, 4.0, 4.0})[1], 0);
    EXPECT_TRUE(std::isnan(modifiedScores(std::vector{1.0, kNoData, 2.0})[0])) << "two values say nothing";
}

TEST(WeightRegression, NeedsThreePairsThatDiffer) {
    EXPECT_TRUE(std::isnan(linearFit(std::vector{1.0, 2.0}, std::vector{3.0, 4.0}).r));
    EXPECT_TRUE(std::isnan(linearFit(std::vector{1.0, 1.0, 1.0}, std::vector{3.0, 4.0, 5.0}).r));
    const LinearFit fit = linearFit(std::vector{0.0, 1.0, kNoData, 2.0}, std::vector{1.0, 3.0, 9.0, 5.0});
    EXPECT_EQ(fit.pairs, 3);
    EXPECT_NEAR(fit.r, 1, 1e-12);
    EXPECT_NEAR(fit.slope, 2, 1e-12);
    EXPECT_NEAR(fit.intercept, 1, 1e-12);
}

TEST(WeightRegression, MeansOfPublishedCorrelationsAreThePublishedMeans) {
    // Look-into-MoEs (arXiv 2406.18219): table 5 gives r of router rows and gate matrices by layer, table 3 the mean
    // R².
    const std::vector<double> mixtral{.82, -.44, .26, .54, .48, .70, .84, .74, .42, .66, .53, .32, .14, .51, .66, .40,
                                      .39, .53,  .35, .17, .51, .63, .36, .51, .48, .66, .81, .63, .73, .75, .84, .57};
    const std::vector<double> deepSeek{.75, .78, .71, .77, .77, .69, .73, .66, .66, .63, .60, .54, .60, .56,
                                       .58, .53, .55, .57, .57, .58, .62, .62, .62, .68, .62, .58, .46};
    EXPECT_NEAR(meanSquare(mixtral), 0.33, 0.005);
    EXPECT_NEAR(meanSquare(deepSeek), 0.40, 0.005);
}

}  // namespace
}  // namespace expertscope
