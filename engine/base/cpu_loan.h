// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <atomic>
#include <cstdint>

namespace expertscope {

/// While one is held, a thread pool that keeps every processor busy does with one worker less, and leaves its processor
/// to the holder. A short piece of work beside a run asks for one: without it the scheduler would take a worker off in
/// the middle of an item, and every other worker would wait for that one at the loop's end.
class CpuLoan {
public:
    CpuLoan() { change(+1); }
    ~CpuLoan() { change(-1); }
    CpuLoan(const CpuLoan&) = delete;
    CpuLoan& operator=(const CpuLoan&) = delete;

    static bool isHeld() { return s_held.load(std::memory_order_relaxed) > 0; }

    /// For a worker that gives way: a number that changes with every loan taken or returned, and by announce().
    static std::uint32_t changes() { return s_changes.load(std::memory_order_acquire); }
    /// Sleeps until the number is another one.
    static void waitForChange(std::uint32_t seen) { s_changes.wait(seen, std::memory_order_acquire); }
    /// Wakes all that wait.
    static void announce() {
        s_changes.fetch_add(1, std::memory_order_release);
        s_changes.notify_all();
    }

private:
    static void change(int by) {
        s_held.fetch_add(by, std::memory_order_relaxed);
        announce();
    }
    static inline std::atomic<int> s_held{0};
    static inline std::atomic<std::uint32_t> s_changes{0};
};

}  // namespace expertscope
