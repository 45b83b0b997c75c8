// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/compute/thread_pool.h"

#include <algorithm>
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

#include "engine/base/cpu_loan.h"

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

/// Which of the workers take part in a loop whose items last long enough for all to come.
std::set<int> workersOfALoop(ThreadPool& pool) {
    std::mutex mutex;
    std::set<int> workers;
    pool.forEach(8 * pool.threads(), [&](int, int worker) {
        const auto end = std::chrono::steady_clock::now() + std::chrono::microseconds(200);
        while (std::chrono::steady_clock::now() < end) {}
        const std::lock_guard lock(mutex);
        workers.insert(worker);
    });
    return workers;
}

bool comesAgain(ThreadPool& pool, int worker) {
    for (int loop = 0; loop < 2'000; ++loop)
        if (workersOfALoop(pool).contains(worker)) return true;
    return false;
}

TEST(ThreadPoolLending, LeavesTheLastWorkersProcessorToWhoHoldsALoan) {
    ThreadPool pool(std::max(2, ThreadPool::availableCpus()));
    const int last = pool.threads() - 1;
    ASSERT_TRUE(comesAgain(pool, last));
    {
        const CpuLoan loan;
        for (int loop = 0; loop < 50; ++loop)
            EXPECT_FALSE(workersOfALoop(pool).contains(last)) << "loop " << loop;
        const CpuLoan second;
        EXPECT_FALSE(workersOfALoop(pool).contains(last));
    }
    EXPECT_TRUE(comesAgain(pool, last));
}

TEST(ThreadPoolLending, KeepsAllWorkersWhereItLeavesAProcessorAnyway) {
    if (ThreadPool::availableCpus() < 3) GTEST_SKIP() << "needs three processors";
    ThreadPool pool(2);
    const CpuLoan loan;
    EXPECT_TRUE(comesAgain(pool, 1));
}

TEST(ThreadPoolLending, EndsWhileALoanIsHeld) {
    const CpuLoan loan;
    ThreadPool pool(std::max(2, ThreadPool::availableCpus()));
    int sum = 0;
    pool.forEach(1, [&](int, int) { ++sum; });
    EXPECT_EQ(sum, 1);
}

TEST(ThreadPoolLending, CallsEveryItemOnceWhileLoansComeAndGo) {
    ThreadPool pool(std::max(2, ThreadPool::availableCpus()));
    std::atomic<bool> ended{false};
    std::thread borrower([&] {
        while (!ended) {
            const CpuLoan loan;
            std::this_thread::yield();
        }
    });
    std::vector<int> calls(67);
    for (int loop = 0; loop < 5'000; ++loop)
        pool.forEach(67, [&](int item, int) { ++calls[item]; });
    ended = true;
    borrower.join();
    EXPECT_THAT(calls, testing::Each(5'000));
}

}  // namespace
}  // namespace expertscope
