// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/compute/thread_pool.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include <hwy/cache_control.h>
#include <sched.h>

#include "engine/base/cpu_loan.h"
#include "engine/compute/cpu_limit.h"

namespace expertscope {
namespace {

using Clock = std::chrono::steady_clock;

/// How long a thread spins before it sleeps: longer than the serial work between two loops of a decode step where every
/// thread has a CPU; next to nothing where spinning would take the CPU from a thread that has work.
constexpr std::chrono::microseconds kSpin{40};
constexpr std::chrono::microseconds kSpinOversubscribed{2};

/// Spins until ready() or the time is over; says whether ready.
template <class Ready>
bool spinUntil(Ready&& ready, std::chrono::microseconds limit) {
    constexpr int kChecksPerClockRead = 16;
    const auto end = Clock::now() + limit;
    do {
        for (int i = 0; i < kChecksPerClockRead; ++i) {
            if (ready()) return true;
            hwy::Pause();
        }
    } while (Clock::now() < end);
    return ready();
}

}  // namespace

/// One atomic counts down the items that nobody has taken. The loop's other fields are written before the counter is
/// raised and read only by a thread that holds an item, and the loop ends only when every item is done: so a worker
/// that comes late finds either nothing or an item of the loop that is running, never one of a loop that has ended.
struct ThreadPool::Impl {
    explicit Impl(int count)
        : spin(count <= availableCpus() ? kSpin : kSpinOversubscribed),
          lender(count >= availableCpus() ? count - 1 : 0) {
        workers.reserve(static_cast<std::size_t>(count - 1));
        try {
            for (int worker = 1; worker < count; ++worker)
                workers.emplace_back([this, worker] { work(worker); });
        } catch (...) {
            stop();
            throw;
        }
    }

    ~Impl() { stop(); }

    void stop() {
        stopping.store(true);
        wake.fetch_add(1);
        wake.notify_all();
        CpuLoan::announce();
        for (std::thread& worker : workers)
            worker.join();
    }

    void run(int count, Body function, void* argument) {
        body = function;
        context = argument;
        items = count;
        unfinished.store(count, std::memory_order_relaxed);
        untaken.store(count);  // publishes the fields above; sequentially consistent against `sleeping`
        wakeSleepers(count - 1);
        takeItems(0);
        const auto finished = [this] { return unfinished.load(std::memory_order_acquire) == 0; };
        if (!spinUntil(finished, spin)) {
            for (int left; (left = unfinished.load(std::memory_order_acquire)) != 0;)
                unfinished.wait(left);
        }
        if (failure) std::rethrow_exception(std::exchange(failure, nullptr));
    }

    void wakeSleepers(int wanted) {
        const int sleepers = std::min(sleeping.load(), wanted);
        if (sleepers == 0) return;
        wake.fetch_add(1);
        for (int i = 0; i < sleepers; ++i)
            wake.notify_one();
    }

    /// Whether this worker leaves its processor to somebody else now. The calling thread never does.
    bool givesWay(int worker) const { return worker > 0 && worker == lender && CpuLoan::isHeld(); }

    void giveWay(int worker) {
        while (true) {
            const std::uint32_t seen = CpuLoan::changes();
            if (stopping.load() || !givesWay(worker)) return;
            CpuLoan::waitForChange(seen);
        }
    }

    void work(int worker) {
        const auto ready = [this, worker] {
            return untaken.load(std::memory_order_acquire) > 0 || stopping.load() || givesWay(worker);
        };
        while (true) {
            giveWay(worker);
            if (!spinUntil(ready, spin)) {
                const std::uint32_t before = wake.load();
                sleeping.fetch_add(1);
                if (untaken.load() == 0 && !stopping.load()) wake.wait(before);
                sleeping.fetch_sub(1);
            }
            if (stopping.load()) return;
            takeItems(worker);
        }
    }

    void takeItems(int worker) {
        int done = 0;
        int left = untaken.load(std::memory_order_acquire);
        while (left > 0 && !givesWay(worker)) {
            if (!untaken.compare_exchange_weak(left, left - 1, std::memory_order_acq_rel, std::memory_order_acquire)) {
                continue;
            }
            runItem(items - left, worker);
            ++done;
            left = untaken.load(std::memory_order_acquire);
        }
        if (done > 0 && unfinished.fetch_sub(done, std::memory_order_acq_rel) == done) unfinished.notify_all();
    }

    void runItem(int item, int worker) {
        try {
            body(context, item, worker);
        } catch (...) {
            const std::lock_guard lock(failureMutex);
            if (!failure) failure = std::current_exception();
        }
    }

    const std::chrono::microseconds spin;
    const int lender;  ///< the worker that gives way, where the pool keeps every processor busy; else 0
    Body body = nullptr;
    void* context = nullptr;
    int items = 0;
    std::exception_ptr failure;
    std::mutex failureMutex;
    alignas(64) std::atomic<int> untaken{0};
    alignas(64) std::atomic<int> unfinished{0};
    alignas(64) std::atomic<int> sleeping{0};
    std::atomic<std::uint32_t> wake{0};
    std::atomic<bool> stopping{false};
    std::vector<std::thread> workers;
};

ThreadPool::ThreadPool(int threads) : m_impl(std::make_unique<Impl>(threads > 0 ? threads : availableCpus())) {}

ThreadPool::~ThreadPool() = default;

int ThreadPool::threads() const { return static_cast<int>(m_impl->workers.size()) + 1; }

int ThreadPool::availableCpus() {
    int cpus = static_cast<int>(std::thread::hardware_concurrency());
#ifdef __linux__
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set) == 0) cpus = CPU_COUNT(&set);
    if (const int quota = cgroupCpuQuota("/"); quota > 0) cpus = std::min(cpus, quota);
#endif
    return std::max(1, cpus);
}

void ThreadPool::run(int items, Body body, void* context) {
    if (items > 0) m_impl->run(items, body, context);
}

}  // namespace expertscope
