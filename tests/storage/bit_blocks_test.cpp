// SPDX-License-Identifier: GPL-3.0-or-later
#include "storage/bit_blocks.h"

#include <limits>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace expertscope {
namespace {

using Values = std::vector<std::int64_t>;

std::string written(const Values& values) {
    std::string bytes;
    writeBlocks(values, bytes);
    return bytes;
}

Values read(std::string_view bytes, std::size_t count) {
    Values values(count);
    readBlocks(bytes, values);
    EXPECT_TRUE(bytes.empty()) << bytes.size() << " bytes are left";
    return values;
}

/// Values of which the largest is `bits` bits above the smallest.
Values random(std::size_t count, unsigned bits, std::uint64_t seed) {
    std::mt19937_64 engine(seed);
    Values values(count);
    const std::uint64_t mask = bits == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << bits) - 1;
    for (std::int64_t& value : values)
        value = static_cast<std::int64_t>((engine() & mask) - seed);
    return values;
}

TEST(BitBlocks, HaveTheBytesThatTheFormatPageSays) {
    // 5, 7, 4, 6: base 4; one block of width 2, 0 above the base, and 1, 3, 0, 2 from the lowest bits on.
    const std::string bytes = written({5, 7, 4, 6});
    EXPECT_EQ(bytes, std::string("\4\0\0\0\0\0\0\0\2\0\x8D", 11));
    Values two(129, 300);
    two[128] = 500;
    // A constant block, then one of a single value 200 above the base (LEB128: c8 01).
    EXPECT_EQ(written(two), std::string("\x2C\1\0\0\0\0\0\0\0\0\0\xC8\1", 13));
}

TEST(BitBlocks, ComeBackAtEveryWidthAndLength) {
    for (const std::size_t count : {0U, 1U, 2U, 127U, 128U, 129U, 256U, 1000U, 4096U}) {
        for (unsigned bits = 0; bits <= 64; ++bits) {
            const Values values = random(count, bits, bits * 1000 + count);
            const std::string bytes = written(values);
            ASSERT_EQ(read(bytes, count), values) << bits << " bits, " << count << " values";
            // Whoever reads on finds the bytes that follow.
            ASSERT_EQ(read(bytes, count), values);
            std::string_view rest = bytes;
            skipBlocks(rest, count);
            ASSERT_TRUE(rest.empty());
        }
    }
}

template <class Narrow>
void expectTheBytesOfWideOnes(unsigned bits, std::uint64_t seed) {
    std::mt19937_64 engine(seed);
    const auto mask = static_cast<std::uint32_t>((std::uint64_t{1} << bits) - 1);
    BlockColumn column;
    Values wide;
    for (const std::size_t count : {std::size_t{128}, std::size_t{128}, std::size_t{77}}) {
        std::vector<Narrow> values(count);
        for (Narrow& value : values)
            value =
                static_cast<Narrow>((static_cast<std::uint32_t>(engine()) & mask) - static_cast<std::uint32_t>(seed));
        column.add(std::span<const Narrow>(values));
        wide.insert(wide.end(), values.begin(), values.end());
    }
    std::string bytes;
    column.write(bytes);
    ASSERT_EQ(bytes, written(wide)) << bits << " bits";
    std::string next;
    column.write(next);
    EXPECT_EQ(next, written({})) << "a new column begins";
}

TEST(BitBlocks, AreTheSameOfNarrowNumbersAsOfWideOnes) {
    for (unsigned bits = 0; bits <= 32; ++bits) {
        expectTheBytesOfWideOnes<std::int32_t>(bits, 5000 + bits);
        expectTheBytesOfWideOnes<std::uint32_t>(bits, bits);
    }
}

TEST(BitBlocks, HoldTheWholeRangeOfNumbers) {
    constexpr std::int64_t kLeast = std::numeric_limits<std::int64_t>::min();
    constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
    Values values(300, -1);
    values[3] = kLeast;
    values[200] = kMost;
    values[299] = 0;
    EXPECT_EQ(read(written(values), values.size()), values);
    EXPECT_EQ(read(written({kMost, kLeast}), 2), (Values{kMost, kLeast}));
}

TEST(BitBlocks, TakeAsManyBitsAsTheirDistancesNeed) {
    EXPECT_EQ(written(Values(4096, 77)).size(), 8 + 32 * 2U) << "nothing a value";
    EXPECT_EQ(written(random(4096, 5, 1)).size(), 8 + 32 * (2 + 128 * 5 / 8U));
}

TEST(BitBlocks, ThatAreCutOffAreRefused) {
    const std::string bytes = written(random(300, 13, 7));
    Values values(300);
    for (std::size_t length = 0; length < bytes.size(); ++length) {
        std::string_view cut(bytes.data(), length);
        EXPECT_THROW(readBlocks(cut, values), DamagedChunk) << length;
        cut = std::string_view(bytes.data(), length);
        EXPECT_THROW(skipBlocks(cut, 300), DamagedChunk) << length;
    }
}

TEST(BitBlocks, OfAnyBytesAreReadOrRefused) {
    std::mt19937 engine(3);
    Values values(1000);
    int refused = 0;
    for (int round = 0; round < 2000; ++round) {
        std::string bytes(engine() % 3000, '\0');
        for (char& byte : bytes)
            byte = static_cast<char>(engine() % (round % 2 == 0 ? 256 : 20));
        try {
            std::string_view rest = bytes;
            readBlocks(rest, values);
        } catch (const DamagedChunk&) { ++refused; }
    }
    EXPECT_GT(refused, 1000);
}

}  // namespace
}  // namespace expertscope
