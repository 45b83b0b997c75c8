// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/offload/transfer_queue.h"

#include <algorithm>
#include <chrono>

#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "engine/base/annotation.h"
#include "engine/base/error.h"

namespace expertscope {

namespace {

std::size_t slotsOf(std::span<const SlotTier> tiers) {
    std::size_t slots = 0;
    for (const SlotTier& tier : tiers)
        slots += static_cast<std::size_t>(tier.slots);
    return slots;
}

SpanKind spanKind(TransferPurpose purpose) {
    return purpose == TransferPurpose::Demand    ? SpanKind::TransferDemand
           : purpose == TransferPurpose::Preload ? SpanKind::TransferPreload
                                                 : SpanKind::TransferPrefetch;
}

}  // namespace

Arena::Arena(int slots, std::size_t slotBytes)
    : m_slotBytes(slotBytes), m_bytes(static_cast<std::size_t>(slots) * slotBytes) {
    void* memory = ::mmap(nullptr, m_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        throw FailedError(fmt::format("There is no memory for {} expert slots ({}): choose a smaller budget.", slots,
                                      formatBytes(Bytes(static_cast<std::int64_t>(m_bytes)))));
    ::madvise(memory, m_bytes, MADV_HUGEPAGE);
    m_memory = static_cast<std::byte*>(memory);
}

void Arena::populate() { ::madvise(m_memory, m_bytes, MADV_POPULATE_WRITE); }

Arena::~Arena() { ::munmap(m_memory, m_bytes); }

TransferQueue::TransferQueue(std::vector<SlotTier> tiers, std::optional<LinkSpec> link, const RecordSet& tell,
                             Observer& observer, LaneId lane)
    : m_tiers(std::move(tiers)),
      m_link(std::move(link)),
      m_tell(tell),
      m_observer(&observer),
      m_lane(lane),
      m_jobs(slotsOf(m_tiers) + 2),
      m_jobOf(slotsOf(m_tiers), -1) {
    for (int job = static_cast<int>(m_jobs.size()); job-- > 0;)
        m_freeJobs.push_back(job);
    m_urgent.reserve(m_jobs.size());
    m_prefetches.reserve(m_jobs.size());
    m_thread = std::thread([this] { work(); });
}

TransferQueue::~TransferQueue() {
    {
        const std::lock_guard lock(m_mutex);
        m_stop = true;
        for (Job& job : m_jobs)
            job.cancelled = true;
    }
    m_wake.notify_all();
    m_thread.join();
}

void TransferQueue::submit(const TransferRecord& record) {
    const std::lock_guard lock(m_mutex);
    int& owner = m_jobOf[record.slot.index()];
    if (owner >= 0) {
        m_jobs[static_cast<std::size_t>(owner)].state = State::Free;
        m_freeJobs.push_back(owner);
    }
    owner = m_freeJobs.back();
    m_freeJobs.pop_back();
    Job& job = m_jobs[static_cast<std::size_t>(owner)];
    job.record = record;
    job.record.moved = Bytes(0);
    job.record.started = job.record.finished = Nanoseconds(0);
    job.urgent = record.purpose != TransferPurpose::Prefetch;
    job.cancelled = false;
    job.nextPiece = 0;
    job.linkProgress = 0;
    job.linkSubmitted = record.issued;
    job.state.store(State::Queued, std::memory_order_relaxed);
    (job.urgent ? m_urgent : m_prefetches).push_back(owner);
    m_wake.notify_all();
}

void TransferQueue::promote(SlotIndex slot) {
    const std::lock_guard lock(m_mutex);
    Job& job = current(slot);
    if (job.urgent || job.state == State::Arrived) return;
    job.urgent = true;
    const int index = m_jobOf[slot.index()];
    if (std::erase(m_prefetches, index) > 0) m_urgent.push_back(index);
    m_wake.notify_all();
}

bool TransferQueue::cancel(SlotIndex slot) {
    TransferRecord record;
    {
        const std::lock_guard lock(m_mutex);
        Job& job = current(slot);
        const int index = m_jobOf[slot.index()];
        if (job.state == State::Arrived) return false;
        m_jobOf[slot.index()] = -1;
        if (job.state == State::Moving) {  // the link lets go of it at its next look, and tells its record
            job.cancelled = true;
            m_wake.notify_all();
            return true;
        }
        std::erase(m_urgent, index);
        std::erase(m_prefetches, index);
        record = job.record;
        job.state = State::Free;
        m_freeJobs.push_back(index);
    }
    record.fate = TransferFate::Cancelled;
    if (m_tell.routing) m_observer->onTransfer(record);
    return true;
}

bool TransferQueue::arrived(SlotIndex slot) const {
    return m_jobOf[slot.index()] >= 0 && current(slot).state.load(std::memory_order_acquire) == State::Arrived;
}

void TransferQueue::describe(SlotIndex slot, TransferRecord& record) const {
    const TransferRecord& done = current(slot).record;
    record.moved = done.moved;
    record.started = done.started;
    record.finished = done.finished;
}

void TransferQueue::waitForAny(std::span<const SlotIndex> slots) {
    for (;;) {
        const std::uint32_t seen = m_events.load(std::memory_order_acquire);
        if (std::ranges::any_of(slots, [&](SlotIndex slot) { return arrived(slot); })) return;
        {
            const std::lock_guard lock(m_mutex);
            if (m_failure) std::rethrow_exception(m_failure);
        }
        m_events.wait(seen, std::memory_order_acquire);
    }
}

void TransferQueue::drain() {
    std::unique_lock lock(m_mutex);
    m_idle.wait(lock, [&] { return m_failure || (!m_moving && m_urgent.empty() && m_prefetches.empty()); });
    if (m_failure) std::rethrow_exception(m_failure);
}

void TransferQueue::announce() {
    m_events.fetch_add(1, std::memory_order_release);
    m_events.notify_all();
}

void TransferQueue::work() {
    ::prctl(PR_SET_TIMERSLACK, 1000UL);  // the default of 50 µs would lengthen every paced transfer
    std::unique_lock lock(m_mutex);
    for (;;) {
        m_idle.notify_all();
        m_wake.wait(lock, [&] { return m_stop || !m_urgent.empty() || !m_prefetches.empty(); });
        if (m_stop) return;
        std::vector<int>& queue = m_urgent.empty() ? m_prefetches : m_urgent;
        const int index = queue.front();
        queue.erase(queue.begin());
        Job& job = m_jobs[static_cast<std::size_t>(index)];
        job.state.store(State::Moving, std::memory_order_relaxed);
        m_moving = true;
        const Nanoseconds began =
            std::max(sessionNow(), m_link ? std::max(m_linkFree, job.linkSubmitted) : Nanoseconds(0));
        if (job.record.started == Nanoseconds(0)) job.record.started = began;
        SpanAnnotation moving({.start = began,
                               .end = {},
                               .amount = job.record.bytes.count(),
                               .step = job.record.issuedStep,
                               .layer = job.record.expert.layer,
                               .expert = job.record.expert.expert,
                               .lane = m_lane,
                               .kind = spanKind(job.record.purpose)});
        Ending ending = Ending::Arrived;
        try {
            ending = move(job, lock);
            if (job.cancelled) ending = Ending::Cancelled;  // during its last piece: it has lost its slot all the same
        } catch (...) {
            if (!lock.owns_lock()) lock.lock();
            m_failure = std::current_exception();
            job.state.store(State::Failed, std::memory_order_release);
            announce();
            m_moving = false;
            m_idle.notify_all();
            return;
        }
        m_moving = false;
        const TransferRecord told = job.record;
        const Nanoseconds ended = sessionNow();
        if (ending == Ending::Arrived) {
            job.record.finished = ended;
            job.state.store(State::Arrived, std::memory_order_release);
        } else if (ending == Ending::Preempted) {
            job.state.store(State::Queued, std::memory_order_relaxed);
            job.linkSubmitted = ended;
            m_prefetches.insert(m_prefetches.begin(), index);
        } else {
            job.state.store(State::Free, std::memory_order_relaxed);
            m_freeJobs.push_back(index);
        }
        lock.unlock();
        if (ending == Ending::Arrived) announce();
        moving.span().amount = told.moved.count();
        moving.span().kind = spanKind(told.purpose);  // a prefetch may have been asked for meanwhile
        moving.end(ended, m_tell.spans ? m_observer : nullptr);
        if (ending == Ending::Cancelled && m_tell.routing) {
            TransferRecord cancelled = told;
            cancelled.fate = TransferFate::Cancelled;
            m_observer->onTransfer(cancelled);
        }
        lock.lock();
    }
}

TransferQueue::Ending TransferQueue::move(Job& job, std::unique_lock<std::mutex>& lock) {
    const ExpertRef ref = job.record.expert;
    auto tier = m_tiers.begin();
    int slotOfTier = job.record.slot.value();
    for (; slotOfTier >= tier->slots; ++tier)
        slotOfTier -= tier->slots;
    std::byte* const slot = tier->arena->slot(SlotIndex(slotOfTier));
    const int pieces = tier->source->pieces(ref);
    const Nanoseconds linkStart = m_link ? std::max(m_linkFree, job.linkSubmitted) : Nanoseconds(0);
    const bool first = job.nextPiece == 0;
    const double before = job.linkProgress;
    const auto carry = [&](double bytes) {  // the link has carried so many bytes of the expert
        m_moved.fetch_add(static_cast<std::int64_t>(bytes) - job.record.moved.count(), std::memory_order_relaxed);
        job.record.moved = Bytes(static_cast<std::int64_t>(bytes));
    };
    double read = static_cast<double>(job.record.moved.count());
    for (; job.nextPiece < pieces; ++job.nextPiece) {
        if (interrupted(job)) return job.cancelled ? Ending::Cancelled : Ending::Preempted;
        lock.unlock();
        read += static_cast<double>(tier->source->readPiece(ref, job.nextPiece, slot).count());
        lock.lock();
        if (!m_link) carry(read);
    }
    if (!m_link) return Ending::Arrived;

    const Nanoseconds readEnd = sessionNow();
    const double whole = static_cast<double>(job.record.bytes.count());
    const Nanoseconds latency = first ? m_link->latency : Nanoseconds(0);
    const auto rest = static_cast<std::int64_t>((whole - before) / m_link->bytesPerSecond * 1e9);
    const Nanoseconds deadline = linkStart + latency + Nanoseconds(rest);
    if (!paceUntil(deadline, job, lock)) {
        const Nanoseconds now = sessionNow();
        const auto carried = static_cast<double>((now - linkStart - latency).count()) * 1e-9 * m_link->bytesPerSecond;
        job.linkProgress = std::clamp(before + carried, before, whole);
        carry(job.linkProgress);
        m_linkFree = now;
        return job.cancelled ? Ending::Cancelled : Ending::Preempted;
    }
    carry(whole);
    m_linkFree = std::max(deadline, readEnd);  // however late this thread woke; a slower read holds the link up
    return Ending::Arrived;
}

/// False when the job was cancelled or a demand goes before it.
bool TransferQueue::paceUntil(Nanoseconds deadline, const Job& job, std::unique_lock<std::mutex>& lock) {
    const auto until = std::chrono::steady_clock::time_point(std::chrono::nanoseconds(deadline.count()));
    m_wake.wait_until(lock, until, [&] { return interrupted(job); });
    return !interrupted(job) || sessionNow() >= deadline;
}

}  // namespace expertscope
