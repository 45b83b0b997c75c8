// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <bit>
#include <cmath>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <hwy/targets.h>

#include "engine/compute/kernels.h"

namespace expertscope {

/// Weights in one of the file's types, at an odd offset of their buffer, and the values that they stand for.
struct TestMatrix {
    std::vector<std::byte> bytes;
    std::vector<double> values;
    MatrixView view;
};

/// Every kernel test runs the plain loops and, one after the other, every instruction set that this machine has.
class KernelTest : public testing::TestWithParam<std::int64_t> {
protected:
    static constexpr std::int64_t kReference = 0;

    KernelTest() {
        if (GetParam() == kReference) return;
        hwy::SetSupportedTargetsForTest(GetParam());
        hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    }
    ~KernelTest() override {
        hwy::SetSupportedTargetsForTest(0);
        hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    }

    const Kernels& kernels() const { return GetParam() == kReference ? Kernels::reference() : Kernels::vectorised(); }

    std::vector<float> randomFloats(std::size_t count, float scale = 1.0F) {
        std::normal_distribution<float> normal(0.0F, scale);
        std::vector<float> values(count);
        for (float& value : values)
            value = normal(m_random);
        return values;
    }

    /// Random bits of the type, infinities and NaNs left out: F16 and BF16 with their whole range of small exponents.
    TestMatrix randomMatrix(ElementType type, int rows, int cols) {
        TestMatrix matrix;
        const std::size_t count = static_cast<std::size_t>(rows) * static_cast<std::size_t>(cols);
        const std::size_t size = type == ElementType::F32 ? 4 : 2;
        const std::size_t offset = size == 4 ? 1 : 2;
        matrix.bytes.resize(offset + count * size);
        const std::vector<float> values = randomFloats(count);
        for (std::size_t i = 0; i < count; ++i) {
            std::byte* const at = matrix.bytes.data() + offset + i * size;
            std::uint32_t bits = std::bit_cast<std::uint32_t>(values[i]);
            if (type == ElementType::F16) bits = m_random() % 16 == 0 ? m_random() % 2048 : halfNear(values[i]);
            if (type == ElementType::BF16) bits >>= 16;
            std::memcpy(at, &bits, size);
            matrix.values.push_back(type == ElementType::F32    ? static_cast<double>(values[i])
                                    : type == ElementType::BF16 ? bfloatValue(bits)
                                                                : halfValue(bits));
        }
        matrix.view = {matrix.bytes.data() + offset, type, rows, cols};
        return matrix;
    }

    static double bfloatValue(std::uint32_t bits) { return static_cast<double>(std::bit_cast<float>(bits << 16)); }
    static double halfValue(std::uint32_t bits) {
        const int exponent = static_cast<int>(bits >> 10 & 31);
        const double fraction = bits & 1023;
        const double magnitude =
            exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1.0 + fraction / 1024, exponent - 15);
        return (bits & 0x8000) != 0 ? -magnitude : magnitude;
    }
    /// A half of the sign and about the size of `value`; which one does not matter.
    static std::uint32_t halfNear(float value) {
        int exponent = 0;
        const float fraction = std::frexp(std::fabs(value), &exponent);
        if (exponent < -13) return 0;
        const auto mantissa = static_cast<std::uint32_t>((fraction * 2 - 1) * 1024) & 1023U;
        return (std::signbit(value) ? 0x8000U : 0U) | static_cast<std::uint32_t>(exponent + 14) << 10 | mantissa;
    }

    std::mt19937 m_random{20240229};
};

inline std::vector<std::int64_t> kernelVariants() {
    std::vector<std::int64_t> variants = hwy::SupportedAndGeneratedTargets();
    variants.push_back(0);
    return variants;
}

inline std::string variantName(const testing::TestParamInfo<std::int64_t>& info) {
    return info.param == 0 ? "Reference" : hwy::TargetName(info.param);
}

}  // namespace expertscope
