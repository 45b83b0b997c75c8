// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <thread>

namespace expertscope {

/// While it lives, every SQLite file of this process lies on a disk that can be full, broken or slow. One at a time.
class FaultyDisk {
public:
    FaultyDisk();
    ~FaultyDisk();
    FaultyDisk(const FaultyDisk&) = delete;
    FaultyDisk& operator=(const FaultyDisk&) = delete;

    /// From now on files may grow by so many bytes together; writing over what is there needs none. Negative: no limit.
    void setRoom(std::int64_t bytes) { room = bytes; }
    /// Every write and every sync take so long.
    void setDelays(std::chrono::milliseconds write, std::chrono::milliseconds sync) {
        writeDelay = write;
        syncDelay = sync;
    }
    void breakWrites(bool broken) { writesFail = broken; }
    void breakReads(bool broken) { readsFail = broken; }
    /// Syncs that this thread has waited for.
    std::int64_t syncsOfThisThread() const { return s_syncs; }

    // Read by the file functions.
    std::atomic<std::int64_t> room{-1};
    std::atomic<std::chrono::milliseconds> writeDelay{}, syncDelay{};
    std::atomic<bool> writesFail{false}, readsFail{false};
    static thread_local std::int64_t s_syncs;
};

}  // namespace expertscope
