// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/compute/thread_pool.h"

#include <atomic>
#include <chrono>
#include <mutex>
#include <set>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace expertscope {
namespace {

class ThreadPoolTest : public testing::TestWithParam<int> {};

TEST_P(ThreadPoolTest, CallsEveryItemOfEveryLoopOnce) {
    ThreadPool pool(GetParam());
    std::vector<int> calls(67);  // plain: an item that two threads took would be a data race as well
    for (int loop = 0; loop < 20'000; ++loop) {
        const int items = 1 + loop % 67;
        pool.forEach(items, [&](int item, int) { ++calls[item]; });
        if (loop % 1000 == 999) std::this_thread::sleep_for(std::chrono::microseconds(200));  // workers fall asleep
    }
    long total = 0;
    for (const int count : calls)
        total += count;
    long expected = 0;
    for (int loop = 0; loop < 20'000; ++loop)
        expected += 1 + loop % 67;
    EXPECT_EQ(total, expected);
    EXPECT_EQ(calls[0], 20'000);
}

TEST_P(ThreadPoolTest, ShowsTheCallerWhatWorkersWrote) {
    ThreadPool pool(GetParam());
    std::vector<long> values(64, 0);
    for (int loop = 1; loop <= 5'000; ++loop) {
        pool.forEach(64, [&](int item, int) { values[item] += item + loop; });
        long sum = 0;
        for (long& value : values)
            sum += std::exchange(value, 0);
        ASSERT_EQ(sum, 64L * 63 / 2 + 64L * loop);
    }
}

TEST_P(ThreadPoolTest, NumbersWorkersFromZeroBelowThreads) {
    ThreadPool pool(GetParam());
    EXPECT_EQ(pool.threads(), GetParam());
    std::vector<std::atomic<int>> inUse(GetParam());
    pool.forEach(500, [&](int, int worker) {
        ASSERT_GE(worker, 0);
        ASSERT_LT(worker, GetParam());
        EXPECT_EQ(inUse[worker].fetch_add(1), 0);  // one thread a worker number
        inUse[worker].fetch_sub(1);
    });
}

TEST_P(ThreadPoolTest, RethrowsAnItemsExceptionAfterAllItems) {
    ThreadPool pool(GetParam());
    for (int loop = 0; loop < 200; ++loop) {
        std::atomic<int> calls{0};
        const auto body = [&](int item, int) {
            calls.fetch_add(1);
            if (item % 5 == 3) throw std::runtime_error("item failed");
        };
        EXPECT_THROW(pool.forEach(20, body), std::runtime_error);
        EXPECT_EQ(calls.load(), 20);
    }
    EXPECT_NO_THROW(pool.forEach(20, [](int, int) {}));
}

TEST_P(ThreadPoolTest, DoesNothingForNoItems) {
    ThreadPool pool(GetParam());
    pool.forEach(0, [](int, int) { ADD_FAILURE(); });
}

INSTANTIATE_TEST_SUITE_P(Threads, ThreadPoolTest, testing::Values(1, 2, 4, 9));

TEST(ThreadPool, LetsWorkersTakePart) {
    ThreadPool pool(2);
    std::atomic<int> arrived{0};
    std::set<int> workers;
    std::mutex mutex;
    pool.forEach(2, [&](int, int worker) {
        {
            const std::lock_guard lock(mutex);
            workers.insert(worker);
        }
        arrived.fetch_add(1);
        while (arrived.load() < 2)
            std::this_thread::yield();  // ends only when two threads are inside
    });
    EXPECT_THAT(workers, testing::ElementsAre(0, 1));
}

TEST(ThreadPool, TakesTheCpusOfTheProcessForZero) {
    EXPECT_GE(ThreadPool::availableCpus(), 1);
    EXPECT_EQ(ThreadPool(0).threads(), ThreadPool::availableCpus());
}

}  // namespace
}  // namespace expertscope
