// SPDX-License-Identifier: GPL-3.0-or-later
#include <limits>

#include "tests/engine/compute/kernels_fixture.h"

namespace expertscope {
namespace {

constexpr ElementType kTypes[] = {ElementType::F32, ElementType::F16, ElementType::BF16};

class MatmulTest : public KernelTest {
protected:
    std::vector<float> product(const MatrixView& w, const std::vector<float>& x, int tokens) const {
        std::vector<float> y(static_cast<std::size_t>(tokens) * w.rows, -1.0F);
        kernels().matmul(w, x.data(), tokens, 0, w.rows, y.data());
        return y;
    }

    /// Each element against a float64 sum, within what rounding each product and partial sum may cost.
    static void expectClose(const TestMatrix& w, const std::vector<float>& x, int tokens, const std::vector<float>& y) {
        const std::size_t cols = w.view.cols;
        const std::size_t rows = w.view.rows;
        for (std::size_t t = 0; t < static_cast<std::size_t>(tokens); ++t) {
            for (std::size_t r = 0; r < rows; ++r) {
                double sum = 0;
                double magnitude = 0;
                for (std::size_t c = 0; c < cols; ++c) {
                    const double term = w.values[r * cols + c] * static_cast<double>(x[t * cols + c]);
                    sum += term;
                    magnitude += std::fabs(term);
                }
                ASSERT_NEAR(static_cast<double>(y[t * rows + r]), sum, 1e-6 * magnitude + 1e-40)
                    << "token " << t << ", row " << r << " of " << rows << " x " << cols;
            }
        }
    }
};

TEST_P(MatmulTest, AgreesWithFloat64InEveryShapeAndType) {
    for (const ElementType type : kTypes) {
        for (const int cols : {1, 3, 8, 15, 16, 17, 31, 33, 64, 96, 192, 201}) {
            for (const int rows : {1, 3, 4, 7, 8, 13, 32}) {
                const TestMatrix w = randomMatrix(type, rows, cols);
                for (const int tokens : {1, 2, 3, 5, 49}) {
                    const std::vector<float> x = randomFloats(static_cast<std::size_t>(tokens) * cols);
                    expectClose(w, x, tokens, product(w.view, x, tokens));
                }
            }
        }
    }
}

TEST_P(MatmulTest, GivesARowAndTokenTheSameBitsInEveryCall) {
    constexpr int kTokens = 53;
    for (const ElementType type : kTypes) {
        for (const int cols : {5, 16, 40, 192, 331}) {
            const int rows = 29;
            const TestMatrix w = randomMatrix(type, rows, cols);
            const std::vector<float> x = randomFloats(static_cast<std::size_t>(kTokens) * cols);
            const std::vector<float> whole = product(w.view, x, kTokens);
            for (const int tokens : {1, 2, 3, 4, 7, 48, 52}) {
                const int first = static_cast<int>(m_random() % (kTokens - tokens + 1));
                const int begin = static_cast<int>(m_random() % rows);
                const int end = begin + 1 + static_cast<int>(m_random() % (rows - begin));
                std::vector<float> part(static_cast<std::size_t>(tokens) * rows, 7.0F);
                kernels().matmul(w.view, x.data() + first * cols, tokens, begin, end, part.data());
                for (int t = 0; t < tokens; ++t) {
                    for (int r = 0; r < rows; ++r) {
                        const float expected = r < begin || r >= end ? 7.0F : whole[(first + t) * rows + r];
                        ASSERT_EQ(std::bit_cast<std::uint32_t>(part[t * rows + r]),
                                  std::bit_cast<std::uint32_t>(expected))
                            << "token " << t << " of " << tokens << ", row " << r << " of [" << begin << ", " << end
                            << "), " << cols << " columns";
                    }
                }
            }
        }
    }
}

TEST_P(MatmulTest, LosesNoMoreThanRoundingWhereLargeTermsCancel) {
    const int cols = 256;
    TestMatrix w = randomMatrix(ElementType::F32, 4, cols);
    std::vector<float> x = randomFloats(cols, 1e6F);
    // The second half undoes the first, but for one small term.
    for (int r = 0; r < 4; ++r) {
        for (int c = 0; c < cols / 2; ++c) {
            const auto value = static_cast<float>(w.values[r * cols + c]);
            std::memcpy(w.bytes.data() + 1 + (r * cols + c + cols / 2) * 4, &value, 4);
            w.values[r * cols + c + cols / 2] = static_cast<double>(value);
        }
    }
    for (int c = 0; c < cols / 2; ++c)
        x[c + cols / 2] = -x[c];
    x[3] += 1.0F;
    for (const int tokens : {1, 2}) {
        std::vector<float> both = x;
        if (tokens == 2) both.insert(both.end(), x.begin(), x.end());
        expectClose(w, both, tokens, product(w.view, both, tokens));
    }
}

TEST_P(MatmulTest, KeepsSubnormalWeightsAndActivations) {
    const float tiny = std::numeric_limits<float>::denorm_min();
    const float weights[] = {tiny * 1024, 0.0F};
    const MatrixView w{reinterpret_cast<const std::byte*>(weights), ElementType::F32, 1, 2};
    EXPECT_EQ(product(w, {2.0F, 1.0F}, 1)[0], tiny * 2048);
    const std::uint16_t halves[] = {0x0001, 0x83FF, 0x03FF};  // smallest and largest subnormal halves
    const MatrixView h{reinterpret_cast<const std::byte*>(halves), ElementType::F16, 3, 1};
    EXPECT_EQ(product(h, {1.0F}, 1), (std::vector<float>{0x1p-24F, -1023 * 0x1p-24F, 1023 * 0x1p-24F}));
}

TEST_P(MatmulTest, PassesInfinityAndNanOnToTheirRowAlone) {
    const float inf = std::numeric_limits<float>::infinity();
    for (const ElementType type : kTypes) {
        const int cols = 21;
        TestMatrix w = randomMatrix(type, 6, cols);
        const std::size_t size = type == ElementType::F32 ? 4 : 2;
        const auto put = [&](int row, int col, float value) {
            const std::uint32_t bits32 = std::bit_cast<std::uint32_t>(value);
            const std::uint32_t bits = type == ElementType::F32 ? bits32
                                       : type == ElementType::BF16
                                           ? bits32 >> 16
                                           : (bits32 >> 16 & 0x8000) | (std::isnan(value) ? 0x7E00U : 0x7C00U);
            std::memcpy(const_cast<std::byte*>(w.view.data) + (row * cols + col) * size, &bits, size);
        };
        put(1, 2, inf);
        put(2, cols - 1, -inf);
        put(4, cols - 2, std::nanf(""));
        for (const int tokens : {1, 3}) {
            const std::vector<float> x(static_cast<std::size_t>(tokens) * cols, 0.5F);
            const std::vector<float> y = product(w.view, x, tokens);
            for (int t = 0; t < tokens; ++t) {
                EXPECT_TRUE(std::isfinite(y[t * 6]));
                EXPECT_EQ(y[t * 6 + 1], inf);
                EXPECT_EQ(y[t * 6 + 2], -inf);
                EXPECT_TRUE(std::isfinite(y[t * 6 + 3]));
                EXPECT_TRUE(std::isnan(y[t * 6 + 4]));
                EXPECT_TRUE(std::isfinite(y[t * 6 + 5]));
            }
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Kernels, MatmulTest, testing::ValuesIn(kernelVariants()), variantName);

}  // namespace
}  // namespace expertscope
