// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <limits>

#include "tests/engine/compute/kernels_fixture.h"

namespace expertscope {
namespace {

using VectorKernelsTest = KernelTest;

constexpr int kLengths[] = {1, 2, 7, 8, 9, 31, 64, 96, 192, 257};
constexpr float kInf = std::numeric_limits<float>::infinity();

double wide(float value) { return static_cast<double>(value); }

TEST_P(VectorKernelsTest, RmsNormDividesByTheRootMeanSquare) {
    for (const int n : kLengths) {
        for (const float scale : {1e-12F, 1.0F, 1e15F}) {
            std::vector<float> x = randomFloats(n, scale);
            const std::vector<float> weight = randomFloats(n);
            double squares = 0;
            for (const float value : x)
                squares += wide(value) * wide(value);
            const double factor = 1 / std::sqrt(squares / n + 1e-6);
            const std::vector<float> input = x;
            kernels().rmsNorm(x.data(), weight.data(), 1e-6F, n, x.data());
            for (int i = 0; i < n; ++i) {
                const double expected = wide(input[i]) * factor * wide(weight[i]);
                ASSERT_NEAR(wide(x[i]), expected, 1e-6 * std::fabs(expected)) << n;
            }
        }
    }
}

TEST_P(VectorKernelsTest, RopeTurnsEachPairByItsAngle) {
    for (const int n : {2, 6, 8, 16, 24, 64, 90, 128}) {
        const int half = n / 2;
        const std::vector<float> input = randomFloats(n);
        std::vector<float> cosines(half), sines(half);
        for (int i = 0; i < half; ++i) {
            const double angle = 37.0 * std::pow(10000.0, -2.0 * i / n);
            cosines[i] = static_cast<float>(std::cos(angle));
            sines[i] = static_cast<float>(std::sin(angle));
        }
        std::vector<float> head = input;
        kernels().rope(head.data(), cosines.data(), sines.data(), n);
        for (int i = 0; i < half; ++i) {
            const double a = wide(input[i]), b = wide(input[i + half]), c = wide(cosines[i]), s = wide(sines[i]);
            const double room = 3e-7 * (std::fabs(a) + std::fabs(b));
            ASSERT_NEAR(wide(head[i]), a * c - b * s, room);
            ASSERT_NEAR(wide(head[i + half]), b * c + a * s, room);
        }
    }
}

/// softmax(scale · q·kᵗ) v of one query in float64.
std::vector<double> attention(const std::vector<float>& query, const float* keys, const float* values,
                              std::size_t stride, int count, double scale) {
    std::vector<double> scores(count), out(query.size());
    for (int j = 0; j < count; ++j) {
        for (std::size_t i = 0; i < query.size(); ++i)
            scores[j] += wide(query[i]) * wide(keys[j * stride + i]);
        scores[j] *= scale;
    }
    const double largest = *std::max_element(scores.begin(), scores.end());
    double sum = 0;
    for (double& score : scores)
        sum += score = std::exp(score - largest);
    for (std::size_t i = 0; i < query.size(); ++i) {
        for (int j = 0; j < count; ++j)
            out[i] += scores[j] / sum * wide(values[j * stride + i]);
    }
    return out;
}

TEST_P(VectorKernelsTest, AttendIsSoftmaxOfProductsTimesValues) {
    for (const int n : {2, 8, 12, 20, 64, 65, 80, 128, 200}) {
        for (const int count : {1, 2, 5, 8, 33, 256}) {
            const std::size_t stride = static_cast<std::size_t>(n) * 2 + 3;
            const std::vector<float> query = randomFloats(n, 2.0F);
            const std::vector<float> keys = randomFloats(stride * count);
            const std::vector<float> values = randomFloats(stride * count);
            const float scale = 1 / std::sqrt(static_cast<float>(n));
            std::vector<float> scores(count), out(n);
            kernels().attend(query.data(), keys.data(), values.data(), stride, count, n, scale, scores.data(),
                             out.data());
            const std::vector<double> expected =
                attention(query, keys.data(), values.data(), stride, count, wide(scale));
            for (int i = 0; i < n; ++i)
                ASSERT_NEAR(wide(out[i]), expected[i], 1e-5) << n << " x " << count;
        }
    }
}

TEST_P(VectorKernelsTest, AttendStaysFiniteWithHugeScores) {
    const std::vector<float> query(16, 1e4F);
    std::vector<float> keys(3 * 16, 1.0F), values(3 * 16);
    for (int i = 0; i < 16; ++i)
        keys[16 + i] = 1.5F;
    for (int row = 0; row < 3; ++row)
        std::fill_n(values.begin() + 16 * row, 16, static_cast<float>(row));
    std::vector<float> scores(3), out(16);
    kernels().attend(query.data(), keys.data(), values.data(), 16, 3, 16, 1.0F, scores.data(), out.data());
    EXPECT_EQ(out, std::vector<float>(16, 1.0F));
}

TEST_P(VectorKernelsTest, SiluIsAccurateOverTheWholeRange) {
    std::vector<float> gate;
    for (float g = -103.0F; g < 103.0F; g += 0.0371F)
        gate.push_back(g);
    for (const float g : {0.0F, 1e-30F, -1e-30F, 1e-42F, 3e38F})
        gate.push_back(g);
    const int n = static_cast<int>(gate.size());
    const std::vector<float> up = randomFloats(gate.size());
    std::vector<float> out = gate;
    kernels().siluMultiply(out.data(), up.data(), n, out.data());
    for (int i = 0; i < n; ++i) {
        const double g = wide(gate[i]);
        const double expected = g / (1 + std::exp(-g)) * wide(up[i]);
        if (std::fabs(expected) > wide(std::numeric_limits<float>::max())) continue;
        ASSERT_NEAR(wide(out[i]), expected, 1e-6 * std::fabs(expected) + 1e-38) << g;
    }
}

TEST_P(VectorKernelsTest, SiluPassesNanOnAndRunsToItsLimit) {
    const std::vector<float> gate{std::nanf(""), kInf, -1000.0F, 1.0F};
    const std::vector<float> up(4, 1.0F);
    std::vector<float> out(4);
    kernels().siluMultiply(gate.data(), up.data(), 4, out.data());
    EXPECT_TRUE(std::isnan(out[0]));
    EXPECT_EQ(out[1], kInf);
    EXPECT_EQ(out[2], 0.0F);
    EXPECT_TRUE(std::isfinite(out[3]));
}

TEST_P(VectorKernelsTest, ElementsHaveTheSameBitsWhereverTheyStand) {
    const std::vector<float> a = randomFloats(300, 4.0F);
    const std::vector<float> b = randomFloats(300);
    std::vector<float> silu(300), sum = b;
    kernels().siluMultiply(a.data(), b.data(), 300, silu.data());
    kernels().addScaled(0.3F, a.data(), 300, sum.data());
    for (const int begin : {1, 13, 150}) {
        for (const int n : {1, 6, 17, 100}) {
            std::vector<float> out(n), part(b.begin() + begin, b.begin() + begin + n);
            kernels().siluMultiply(a.data() + begin, b.data() + begin, n, out.data());
            kernels().addScaled(0.3F, a.data() + begin, n, part.data());
            EXPECT_TRUE(std::equal(out.begin(), out.end(), silu.begin() + begin));
            EXPECT_TRUE(std::equal(part.begin(), part.end(), sum.begin() + begin));
        }
    }
}

TEST_P(VectorKernelsTest, AddScaledAddsTheProduct) {
    for (const int n : kLengths) {
        const std::vector<float> x = randomFloats(n);
        const std::vector<float> before = randomFloats(n);
        std::vector<float> y = before;
        kernels().addScaled(-2.5F, x.data(), n, y.data());
        for (int i = 0; i < n; ++i) {
            ASSERT_NEAR(wide(y[i]), wide(before[i]) - 2.5 * wide(x[i]), 3e-7 * (std::fabs(wide(x[i])) * 3 + 1));
        }
    }
}

TEST_P(VectorKernelsTest, NormHoldsFromSubnormalToHugeValues) {
    for (const int n : kLengths) {
        for (const float scale : {1e-41F, 1e-25F, 1.0F, 1e30F}) {
            const std::vector<float> x = randomFloats(n, scale);
            double squares = 0;
            for (const float value : x)
                squares += wide(value) * wide(value);
            const double expected = std::sqrt(squares);
            ASSERT_NEAR(wide(kernels().norm(x.data(), n)), expected, 1e-6 * expected + 1e-45) << n << ", " << scale;
        }
    }
    EXPECT_EQ(kernels().norm(std::vector<float>(9).data(), 9), 0.0F);
    const float withInfinity[] = {1.0F, -kInf};
    EXPECT_EQ(kernels().norm(withInfinity, 2), kInf);
}

TEST_P(VectorKernelsTest, SoftmaxGivesSharesAndTheLogOfTheSum) {
    for (const int n : kLengths) {
        for (const float offset : {0.0F, 500.0F, -500.0F}) {
            std::vector<float> x = randomFloats(n, 3.0F);
            for (float& value : x)
                value += offset;
            const std::vector<float> input = x;
            double sum = 0;
            for (const float value : input)
                sum += std::exp(wide(value) - wide(offset));
            const double logSum = std::log(sum) + wide(offset);
            ASSERT_NEAR(wide(kernels().softmax(x.data(), n)), logSum, 1e-6 * (1 + std::fabs(logSum)));
            for (int i = 0; i < n; ++i) {
                const double expected = std::exp(wide(input[i]) - logSum);
                ASSERT_NEAR(wide(x[i]), expected, 2e-6 * expected);
            }
        }
    }
}

TEST_P(VectorKernelsTest, SoftmaxGivesMaskedEntriesNothingAndNanEverything) {
    std::vector<float> x{-kInf, 1.0F, -kInf, 1.0F, -kInf, -kInf, -kInf, -kInf, -kInf};
    kernels().softmax(x.data(), 9);
    EXPECT_EQ(x, (std::vector<float>{0, 0.5F, 0, 0.5F, 0, 0, 0, 0, 0}));
    std::vector<float> withNan(19, 1.0F);
    withNan[17] = std::nanf("");
    kernels().softmax(withNan.data(), 19);
    for (const float share : withNan)
        EXPECT_TRUE(std::isnan(share));
}

TEST_P(VectorKernelsTest, FindsTheLargestInOrderAndTheLowerPlaceOfEquals) {
    std::mt19937 random(5);
    for (int n = 1; n <= 75; ++n) {
        std::vector<float> input(static_cast<std::size_t>(n));
        for (float& value : input) {
            const auto draw = random() % 12;
            value = draw == 0 ? -kInf : draw == 1 ? kInf : draw == 2 ? std::nanf("") : static_cast<float>(draw % 5) - 3;
        }
        std::vector<int> order;
        for (int place = 0; place < n; ++place)
            if (!std::isnan(input[place])) order.push_back(place);
        std::ranges::stable_sort(order, [&](int a, int b) { return input[a] > input[b]; });
        std::vector<float> x = input;
        std::vector<int> found(static_cast<std::size_t>(n), -1);
        const int first = std::min<int>(3, n);
        int count = kernels().largest(x.data(), n, first, found.data());
        count += kernels().largest(x.data(), n, n - first, found.data() + count);  // goes on where the first ended
        ASSERT_EQ(count, static_cast<int>(order.size()));
        found.resize(order.size());
        ASSERT_EQ(found, order) << n;
        for (const float value : x)
            ASSERT_TRUE(std::isnan(value));
    }
}

INSTANTIATE_TEST_SUITE_P(Kernels, VectorKernelsTest, testing::ValuesIn(kernelVariants()), variantName);

}  // namespace
}  // namespace expertscope
