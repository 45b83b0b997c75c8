// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/replay/simulated_link.h"

#include <array>

#include <gtest/gtest.h>

namespace expertscope {
namespace {

constexpr SlotIndex kA(0), kB(1), kC(2);

// 10 ns a transfer and 1 ns a byte.
TEST(SimulatedLink, TakesLatencyAndBytesInOrderOfIssue) {
    SimulatedLink link(3, 10, 1.0);
    link.submit(kA, 100, true, 0);
    link.submit(kB, 100, true, 5);
    EXPECT_FALSE(link.arrived(kA, 109));
    EXPECT_TRUE(link.arrived(kA, 110));
    EXPECT_EQ(link.firstArrival(std::array{kB}, 110), 220);
    EXPECT_TRUE(link.arrived(kB, 220));
    link.submit(kC, 50, true, 300);
    EXPECT_EQ(link.firstArrival(std::array{kC}, 300), 360) << "an idle link starts at the issue";
    EXPECT_TRUE(link.arrived(kC, 360));
    EXPECT_DOUBLE_EQ(link.moved(), 250);
}

TEST(SimulatedLink, LetsADemandInterruptAPrefetchThatGoesOnWithoutASecondLatency) {
    SimulatedLink link(3, 10, 1.0);
    link.submit(kA, 100, false, 0);
    link.submit(kB, 100, true, 60);  // A has carried 50
    EXPECT_EQ(link.firstArrival(std::array{kB}, 60), 170);
    EXPECT_FALSE(link.arrived(kA, 219));
    EXPECT_TRUE(link.arrived(kA, 220));
}

TEST(SimulatedLink, PutsADemandBeforePrefetchesThatWait) {
    SimulatedLink link(3, 0, 1.0);
    link.submit(kA, 100, true, 0);
    link.submit(kB, 100, false, 0);
    link.submit(kC, 100, true, 50);
    EXPECT_TRUE(link.arrived(kC, 200));
    EXPECT_FALSE(link.arrived(kB, 299));
    EXPECT_TRUE(link.arrived(kB, 300));
}

TEST(SimulatedLink, TreatsAPromotedPrefetchAsADemand) {
    SimulatedLink link(3, 0, 1.0);
    link.submit(kA, 100, false, 0);
    link.submit(kB, 100, false, 0);
    link.promote(kB, 30);
    EXPECT_EQ(link.firstArrival(std::array{kA, kB}, 30), 130) << "B goes before A, of which 30 have moved";
    EXPECT_TRUE(link.arrived(kA, 200));
    link.submit(kC, 100, false, 200);
    link.promote(kC, 250);  // it is moving: it stays
    link.submit(kA, 100, true, 260);
    EXPECT_TRUE(link.arrived(kC, 300));
}

TEST(SimulatedLink, CancelsWhatHasNotArrivedAndCountsWhatItCarried) {
    SimulatedLink link(3, 0, 1.0);
    link.submit(kA, 100, false, 0);
    link.submit(kB, 100, false, 0);
    EXPECT_TRUE(link.cancel(kA, 40));
    EXPECT_EQ(link.firstArrival(std::array{kB}, 40), 140);
    EXPECT_FALSE(link.cancel(kB, 140));
    EXPECT_DOUBLE_EQ(link.moved(), 140);
    link.submit(kA, 100, false, 150);
    link.submit(kC, 100, false, 150);
    EXPECT_TRUE(link.cancel(kC, 160)) << "queued";
    EXPECT_TRUE(link.arrived(kA, 250));
    EXPECT_DOUBLE_EQ(link.moved(), 240);
}

}  // namespace
}  // namespace expertscope
