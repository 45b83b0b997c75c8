// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "engine/base/events.h"
#include "engine/offload/expert_store.h"

namespace expertscope {

/// The slots: one block of memory, each slot at a multiple of ExpertStore::kBlock.
class Arena {
public:
    /// Throws FailedError when there is not so much memory.
    Arena(int slots, std::size_t slotBytes);
    ~Arena();
    Arena(const Arena&) = delete;
    Arena& operator=(const Arena&) = delete;
    /// Takes the memory from the system now, so that no transfer pays for the first touch of its slot. What the system
    /// cannot do at once (Linux before 5.14) it does at that touch.
    void populate();
    std::byte* slot(SlotIndex index) const { return m_memory + index.index() * m_slotBytes; }

private:
    std::byte* m_memory = nullptr;
    std::size_t m_slotBytes = 0;
    std::size_t m_bytes = 0;
};

/// One link: a thread that brings experts into slots, most urgent first. A demand goes before every prefetch and
/// interrupts one that is moving, which goes on afterwards; prefetches move in order of issue. With a LinkSpec every
/// transfer takes at least latency + bytes ÷ bandwidth of the link's time, counted from its issue or from the end of
/// the one before, whichever is later, so that a late wake-up of the thread is not charged to the link.
///
/// submit, promote, cancel and the waits are called from one thread.
class TransferQueue {
public:
    /// The slots are those of the tiers one after the other; what tiers point to outlives the queue.
    TransferQueue(std::vector<SlotTier> tiers, std::optional<LinkSpec> link, const RecordSet& tell, Observer& observer,
                  LaneId lane);
    ~TransferQueue();
    TransferQueue(const TransferQueue&) = delete;
    TransferQueue& operator=(const TransferQueue&) = delete;

    /// Takes the record as issued: id, expert, slot, bytes, issued…, purpose. The slot's former transfer, if any, must
    /// have arrived or been cancelled.
    void submit(const TransferRecord& record);
    /// A prefetch has become a demand.
    void promote(SlotIndex slot);
    /// Gives up the slot's transfer. False when it has arrived already; otherwise the queue tells its record, as
    /// Cancelled, as soon as the link has let go of it.
    bool cancel(SlotIndex slot);
    bool arrived(SlotIndex slot) const;
    /// Fills moved, started and finished of a transfer that has arrived.
    void describe(SlotIndex slot, TransferRecord& record) const;
    /// Waits until one of `slots` has arrived. Rethrows what stopped the link.
    void waitForAny(std::span<const SlotIndex> slots);
    /// Waits until nothing is queued or moving.
    void drain();
    /// Bytes that went over the link so far, cancelled ones included.
    Bytes moved() const { return Bytes(m_moved.load(std::memory_order_relaxed)); }

private:
    enum class State : std::uint8_t { Free, Queued, Moving, Arrived, Failed };
    struct Job {
        TransferRecord record;
        std::atomic<State> state{State::Free};
        bool urgent = false;
        bool cancelled = false;
        int nextPiece = 0;
        double linkProgress = 0;    ///< bytes that the paced link has carried
        Nanoseconds linkSubmitted;  ///< earliest time the link may start on it
    };
    enum class Ending { Arrived, Cancelled, Preempted };

    void work();
    Ending move(Job& job, std::unique_lock<std::mutex>& lock);
    bool paceUntil(Nanoseconds deadline, const Job& job, std::unique_lock<std::mutex>& lock);
    bool interrupted(const Job& job) const { return job.cancelled || (!job.urgent && !m_urgent.empty()); }
    void announce();
    Job& current(SlotIndex slot) { return m_jobs[static_cast<std::size_t>(m_jobOf[slot.index()])]; }
    const Job& current(SlotIndex slot) const { return m_jobs[static_cast<std::size_t>(m_jobOf[slot.index()])]; }

    std::vector<SlotTier> m_tiers;
    std::optional<LinkSpec> m_link;
    RecordSet m_tell;
    Observer* m_observer;
    LaneId m_lane;

    std::vector<Job> m_jobs;   ///< two more than slots: a cancelled one may still be on the link
    std::vector<int> m_jobOf;  ///< [slots] job that fills or filled the slot, −1 = none
    std::vector<int> m_freeJobs;
    std::vector<int> m_urgent;  ///< queued demands, first first
    std::vector<int> m_prefetches;
    mutable std::mutex m_mutex;
    std::condition_variable m_wake;
    std::condition_variable m_idle;
    bool m_moving = false;
    bool m_stop = false;
    std::exception_ptr m_failure;
    std::atomic<std::uint32_t> m_events{0};  ///< grows whenever a transfer arrives or the link fails
    std::atomic<std::int64_t> m_moved{0};
    Nanoseconds m_linkFree;
    std::thread m_thread;
};

}  // namespace expertscope
