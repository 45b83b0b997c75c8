// SPDX-License-Identifier: GPL-3.0-or-later
#include "views/timeline/time_ticker.h"

#include <gtest/gtest.h>

namespace expertscope {
namespace {

TEST(TimeTicker, WritesTicksInTheUnitOfTheirDistance) {
    EXPECT_EQ(TimeTicker::text(3e9, 1e9), "3 s");
    EXPECT_EQ(TimeTicker::text(3.5e9, 5e8), "3.5 s");
    EXPECT_EQ(TimeTicker::text(20e6, 5e6), "20 ms");
    EXPECT_EQ(TimeTicker::text(1.2e6, 2e5), "1.2 ms");
    EXPECT_EQ(TimeTicker::text(40e3, 1e4), "40 µs");
    EXPECT_EQ(TimeTicker::text(450, 50), "450 ns");
    EXPECT_EQ(TimeTicker::text(0, 1e6), "0 ms");
}

TEST(TimeTicker, TellsNeighboursApartAtEveryZoom) {
    for (double step = 1; step < 1e11; step *= 10) {
        for (const double factor : {1.0, 2.0, 5.0}) {
            const double distance = step * factor;
            const double at = distance * 37;
            EXPECT_NE(TimeTicker::text(at, distance), TimeTicker::text(at + distance, distance)) << distance;
        }
    }
}

}  // namespace
}  // namespace expertscope
