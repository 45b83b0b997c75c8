// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/capture/spsc_ring.h"

#include <cstdint>
#include <numeric>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "profiler/capture/loss_counter.h"

namespace expertscope {
namespace {

std::vector<int> drained(SpscRing<int>& ring) {
    std::vector<int> out;
    ring.drain([&](std::span<const int> part) { out.insert(out.end(), part.begin(), part.end()); });
    return out;
}

TEST(SpscRing, GivesBackInOrderAndTakesOnlyWhatFits) {
    SpscRing<int> ring(8);
    EXPECT_EQ(drained(ring), std::vector<int>{});
    std::vector<int> numbers(20);
    std::iota(numbers.begin(), numbers.end(), 0);
    EXPECT_EQ(ring.push(std::span(numbers).first(5)), 5u);
    EXPECT_EQ(ring.push(std::span(numbers).subspan(5)), 3u);
    EXPECT_EQ(ring.push(std::span(numbers).subspan(8)), 0u);
    EXPECT_EQ(drained(ring), (std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7}));
    EXPECT_EQ(ring.push(std::span(numbers).first(6)), 6u);
    EXPECT_EQ(drained(ring), (std::vector<int>{0, 1, 2, 3, 4, 5}));
    EXPECT_EQ(ring.push(std::span(numbers).first(8)), 8u) << "over the end of the memory";
    EXPECT_EQ(drained(ring), (std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7}));
}

TEST(SpscRing, SaysThatItFillsUpOnlyWhileMoreThanHalfIsTaken) {
    SpscRing<int> ring(8);
    const std::vector<int> four(4), one(1);
    for (int lap = 0; lap < 5; ++lap) {
        ring.push(std::span(four));
        EXPECT_FALSE(ring.fillsUp()) << "half taken, lap " << lap;
        ring.push(std::span(one));
        EXPECT_TRUE(ring.fillsUp()) << "more than half taken, lap " << lap;
        drained(ring);
        EXPECT_FALSE(ring.fillsUp()) << "drained, lap " << lap;
    }
}

TEST(SpscRing, LosesNothingBetweenTwoThreads) {
    SpscRing<std::int64_t> ring(64);
    constexpr std::int64_t kCount = 1'000'000;
    std::thread producer([&] {
        for (std::int64_t next = 0; next < kCount;) {
            std::int64_t part[7];
            const auto length = static_cast<std::size_t>(std::min<std::int64_t>(7, kCount - next));
            std::iota(part, part + length, next);
            const std::size_t taken = ring.push(std::span<const std::int64_t>(part, length));
            if (taken == 0) std::this_thread::yield();
            next += static_cast<std::int64_t>(taken);
        }
    });
    std::int64_t expected = 0;
    bool inOrder = true;
    while (expected < kCount && inOrder) {
        const std::size_t taken = ring.drain([&](std::span<const std::int64_t> part) {
            for (const std::int64_t value : part) {
                inOrder = inOrder && value == expected++;
            }
        });
        if (taken == 0) std::this_thread::yield();
    }
    producer.join();
    EXPECT_TRUE(inOrder);
}

TEST(LossCounter, GivesCountAndIntervalSinceTheLastTime) {
    LossCounter counter;
    EXPECT_FALSE(counter.take().has_value());
    counter.add(2, Nanoseconds(10));
    counter.add(3, Nanoseconds(20));
    const std::optional<Loss> first = counter.take();
    ASSERT_TRUE(first.has_value());
    EXPECT_EQ(first->count, 5);
    EXPECT_EQ(first->from, Nanoseconds(10));
    EXPECT_EQ(first->to, Nanoseconds(20));
    EXPECT_FALSE(counter.take().has_value());
    counter.add(1, Nanoseconds(30));
    EXPECT_EQ(counter.take()->from, Nanoseconds(30));
}

}  // namespace
}  // namespace expertscope
