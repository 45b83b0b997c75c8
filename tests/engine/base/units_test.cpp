// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/base/units.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/base/error.h"

namespace expertscope {
namespace {

TEST(ParseSize, ReadsAbsoluteSizesAndShares) {
    EXPECT_EQ(parseSize("4096", "Budget").of(Bytes(0)), Bytes(4096));
    EXPECT_EQ(parseSize("512MiB", "Budget").of(Bytes(0)), Bytes(512LL << 20));
    EXPECT_EQ(parseSize("1.5GiB", "Budget").of(Bytes(0)), Bytes(3LL << 29));
    EXPECT_EQ(parseSize("2MB", "Budget").of(Bytes(0)), Bytes(2'000'000));
    EXPECT_EQ(parseSize("25%", "Budget").of(Bytes(1001)), Bytes(250));
    EXPECT_EQ(parseSize("0%", "Budget").of(Bytes(1001)), Bytes(0));
}

TEST(ParseSize, RefusesWhatIsNoSizeNamingIt) {
    for (const char* text : {"", "%", "-1", "101%", "12 parsecs", "nan", "inf", "1e30TiB", "MiB", "5%%"}) {
        try {
            parseSize(text, "Budget");
            ADD_FAILURE() << text << " was accepted";
        } catch (const UsageError& error) {
            EXPECT_THAT(error.what(), testing::HasSubstr("Budget"));
            EXPECT_EQ(error.kind(), ErrorKind::Usage);
        }
    }
}

TEST(ParseLink, GivesBandwidthAndLatency) {
    const LinkSpec link = parseLink("25GB/s@10us");
    EXPECT_DOUBLE_EQ(link.bytesPerSecond, 25e9);
    EXPECT_EQ(link.latency, Nanoseconds(10'000));
    EXPECT_EQ(link.duration(Bytes(250)), Nanoseconds(10'010));
    EXPECT_EQ(parseLink("50MiB/s").latency, Nanoseconds(0));
}

TEST(ParseLink, RefusesWhatIsNoLink) {
    for (const char* text : {"", "25GB", "0GB/s@1us", "25GB/s@", "25GB/s@10", "@10us", "25GB/s@-1us", "x/s@1us"}) {
        EXPECT_THROW(parseLink(text), UsageError) << text;
    }
}

TEST(Format, ShowsThreeSignificantDigitsWithUnit) {
    EXPECT_EQ(formatBytes(Bytes(110592)), "108 KiB");
    EXPECT_EQ(formatBytes(Bytes(7077888)), "6.75 MiB");
    EXPECT_EQ(formatBytes(Bytes(12)), "12 B");
    EXPECT_EQ(formatDuration(Nanoseconds(1'236'000)), "1.24 ms");
    EXPECT_EQ(formatDuration(Nanoseconds(999)), "999 ns");
    EXPECT_EQ(formatDuration(Nanoseconds(12'345'000'000)), "12.3 s");
}

}  // namespace
}  // namespace expertscope
