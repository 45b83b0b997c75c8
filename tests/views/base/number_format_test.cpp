// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/base/number_format.h"

#include <cmath>

#include <gtest/gtest.h>

namespace expertscope {
namespace {

TEST(NumberFormat, KeepsThreeSignificantDigits) {
    EXPECT_EQ(numberText(1.2345), "1.23");
    EXPECT_EQ(numberText(12.345), "12.3");
    EXPECT_EQ(numberText(123.45), "123");
    EXPECT_EQ(numberText(12345.0), "12,300");
    EXPECT_EQ(numberText(0.012345), "0.0123");
    EXPECT_EQ(numberText(0), "0");
}

TEST(NumberFormat, WritesNegativeNumbersWithAMinusSign) {
    EXPECT_EQ(numberText(-1.2345), "−1.23");
    EXPECT_EQ(numberText(-12345.0, "tok/s"), "−12,300 tok/s");
    EXPECT_EQ(numberText(-1.5e-7), "−1.50E−07");
    EXPECT_EQ(countText(-1234), "−1,234");
    EXPECT_EQ(hundredthsText(-0.034), "−0.03");
    EXPECT_EQ(hundredthsText(-0.001), "0.00");
    EXPECT_EQ(percentText(-0.25), "−25.0 %");
    EXPECT_EQ(millisecondsText(-1.24), "−1.24 ms");
}

TEST(NumberFormat, RoundsUpIntoTheNextDecade) {
    EXPECT_EQ(numberText(9.999), "10.0");
    EXPECT_EQ(numberText(999.9), "1,000");
    EXPECT_EQ(numberText(0.9999), "1.00");
}

TEST(NumberFormat, SeparatesThousandsOfExactCounts) {
    EXPECT_EQ(countText(1234567), "1,234,567");
    EXPECT_EQ(countText(0), "0");
}

TEST(NumberFormat, WritesADashWhereThereIsNoNumber) {
    EXPECT_EQ(numberText(std::nan("")), "–");
    EXPECT_EQ(numberText(INFINITY, "tok/s"), "–");
    EXPECT_EQ(percentText(std::int64_t{0}, std::int64_t{0}), "–");
    EXPECT_EQ(bandwidthText(Bytes(5), Nanoseconds(0)), "–");
}

TEST(NumberFormat, WritesSharesAndRatesWithUnits) {
    EXPECT_EQ(percentText(0.25), "25.0 %");
    EXPECT_EQ(percentText(std::int64_t{4}, std::int64_t{4}), "100 %");
    EXPECT_EQ(numberText(812.4, "tok/s"), "812 tok/s");
    EXPECT_EQ(bandwidthText(Bytes(1'000'000), Nanoseconds(1'000'000)), "1.00 GB/s");
    EXPECT_EQ(bandwidthText(Bytes(500), Nanoseconds(1'000'000'000)), "500 B/s");
    EXPECT_EQ(millisecondsText(2400), "2.40 s");
}

}  // namespace
}  // namespace expertscope
