// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/model/element_convert.h"

#include <cmath>
#include <limits>
#include <vector>

#include <gtest/gtest.h>

namespace expertscope {
namespace {

/// The value that IEEE 754 gives binary16 bits, by its formula in double precision.
double f16ByFormula(unsigned bits) {
    const double sign = (bits & 0x8000U) != 0 ? -1 : 1;
    const int exponent = static_cast<int>((bits >> 10) & 0x1FU);
    const double mantissa = static_cast<double>(bits & 0x3FFU) / 1024;
    if (exponent == 31) return mantissa == 0 ? sign * INFINITY : NAN;
    return exponent == 0 ? sign * std::ldexp(mantissa, -14) : sign * std::ldexp(1 + mantissa, exponent - 15);
}

TEST(ElementConvert, WidensEveryHalfExactly) {
    for (unsigned bits = 0; bits <= 0xFFFF; ++bits) {
        const float value = f16ToFloat(static_cast<std::uint16_t>(bits));
        const double expected = f16ByFormula(bits);
        if (std::isnan(expected)) {
            EXPECT_TRUE(std::isnan(value)) << bits;
        } else {
            ASSERT_EQ(static_cast<double>(value), expected) << bits;
            ASSERT_EQ(std::signbit(value), std::signbit(expected)) << bits;
        }
    }
}

TEST(ElementConvert, WidensBf16ByItsBits) {
    EXPECT_EQ(bf16ToFloat(0x3F80), 1.0F);
    EXPECT_EQ(bf16ToFloat(0xC000), -2.0F);
    EXPECT_EQ(bf16ToFloat(0x7F80), std::numeric_limits<float>::infinity());
    EXPECT_EQ(bf16ToFloat(0x0001), 0x1p-133F);
}

TEST(ElementConvert, ReadsLittleEndianElements) {
    const auto bytes = [](std::initializer_list<int> values) {
        std::vector<std::byte> out;
        for (const int value : values)
            out.push_back(static_cast<std::byte>(value));
        return out;
    };
    std::vector<float> out(2);
    convertToFloats(ElementType::F32, bytes({0, 0, 0x80, 0x3F, 0, 0, 0, 0xC0}), out);
    EXPECT_EQ(out, (std::vector<float>{1, -2}));
    convertToFloats(ElementType::F16, bytes({0, 0x3C, 0, 0xB8}), out);
    EXPECT_EQ(out, (std::vector<float>{1, -0.5F}));
    convertToFloats(ElementType::BF16, bytes({0x40, 0x40, 0x80, 0xBF}), out);
    EXPECT_EQ(out, (std::vector<float>{3, -1}));
}

}  // namespace
}  // namespace expertscope
