// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/replay/simulated_link.h"

#include <array>

#include <gtest/gtest.h>

namespace expertscope {
namespace {

constexpr SlotIndex kA(0), kB(1), kC(2);
constexpr SimulatedLink::Pace kByteATick{.demandPerByte = 1, .prefetchPerByte = 1};
constexpr SimulatedLink::Pace kWithLatency{.latency = 10, .demandPerByte = 1, .prefetchPerByte = 1};

TEST(SimulatedLink, TakesLatencyAndBytesInOrderOfIssue) {
    SimulatedLink link(3, kWithLatency);
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
    SimulatedLink link(3, kWithLatency);
    link.submit(kA, 100, false, 0);
    link.submit(kB, 100, true, 60);  // A has carried 50
    EXPECT_EQ(link.firstArrival(std::array{kB}, 60), 170);
    EXPECT_FALSE(link.arrived(kA, 219));
    EXPECT_TRUE(link.arrived(kA, 220));
}

TEST(SimulatedLink, PutsADemandBeforePrefetchesThatWait) {
    SimulatedLink link(3, kByteATick);
    link.submit(kA, 100, true, 0);
    link.submit(kB, 100, false, 0);
    link.submit(kC, 100, true, 50);
    EXPECT_TRUE(link.arrived(kC, 200));
    EXPECT_FALSE(link.arrived(kB, 299));
    EXPECT_TRUE(link.arrived(kB, 300));
}

TEST(SimulatedLink, TreatsAPromotedPrefetchAsADemand) {
    SimulatedLink link(3, kByteATick);
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
    SimulatedLink link(3, kByteATick);
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

TEST(SimulatedLink, FinishesThePieceThatItReadsBeforeADemand) {
    SimulatedLink link(3, {.demandPerByte = 1, .prefetchPerByte = 2, .piece = 40});
    link.submit(kA, 100, false, 0);
    link.submit(kB, 30, true, 90);  // A is at byte 45, in its second piece, which ends at 160
    EXPECT_EQ(link.firstArrival(std::array{kB}, 90), 190);
    link.submit(kC, 10, true, 195);  // A is in its last piece, from 190 to 230
    EXPECT_EQ(link.firstArrival(std::array{kC}, 195), 240);
    EXPECT_TRUE(link.arrived(kA, 230));
    link.submit(kA, 100, false, 300);
    EXPECT_TRUE(link.cancel(kA, 310));
    EXPECT_DOUBLE_EQ(link.moved(), 180) << "the cancelled one's first piece came";
    link.submit(kB, 10, true, 320);
    EXPECT_EQ(link.firstArrival(std::array{kB}, 320), 390) << "when that piece is read";
}

}  // namespace
}  // namespace expertscope
