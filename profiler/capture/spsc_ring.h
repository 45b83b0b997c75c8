// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <memory>
#include <new>
#include <span>
#include <type_traits>

#include <sys/mman.h>

namespace expertscope {

inline constexpr std::size_t kCacheLine = 64;
inline constexpr std::size_t kLinesAhead = 4;

/// A bounded queue from one producer thread to one consumer thread, without locks (Lamport 1983; each side keeps a copy
/// of the other's position, so that the shared line moves between cores once a lap and not once a record). Memory is
/// taken with the first record and touched as far as it is used.
template <class Record>
class SpscRing {
    static_assert(std::is_trivially_copyable_v<Record>);

public:
    /// `capacity` is a power of two.
    explicit SpscRing(std::size_t capacity) : m_mask(capacity - 1) {}

    /// Producer: takes as many of `records` as there is room for, from the front, and returns how many.
    std::size_t push(std::span<const Record> records) {
        const std::size_t tail = m_tail.load(std::memory_order_relaxed);
        std::size_t room = capacity() - (tail - m_knownHead);
        if (room < records.size()) {
            m_knownHead = m_head.load(std::memory_order_acquire);
            room = capacity() - (tail - m_knownHead);
        }
        const std::size_t taken = std::min(room, records.size());
        if (taken == 0) return 0;
        if (!m_memory) allocate();
        const std::size_t at = tail & m_mask;
        const std::size_t first = std::min(taken, capacity() - at);
        std::copy_n(records.data(), first, m_memory.get() + at);
        std::copy_n(records.data() + first, taken - first, m_memory.get());
        m_tail.store(tail + taken, std::memory_order_release);
        fetchAhead(tail + taken);
        return taken;
    }

    /// Producer: whether more than half of the room is taken. Looks at the consumer's side only when what it knows of
    /// it says so: once a half lap and not once a record while the consumer keeps up.
    bool fillsUp() {
        const std::size_t tail = m_tail.load(std::memory_order_relaxed);
        if (tail - m_knownHead <= capacity() / 2) return false;
        m_knownHead = m_head.load(std::memory_order_acquire);
        return tail - m_knownHead > capacity() / 2;
    }

    /// Consumer: hands everything that waits to `take(span)`, in one or two pieces, and frees it. Returns how many.
    template <class Take>
    std::size_t drain(Take take) {
        const std::size_t head = m_head.load(std::memory_order_relaxed);
        const std::size_t tail = m_tail.load(std::memory_order_acquire);
        const std::size_t count = tail - head;
        if (count == 0) return 0;
        const std::size_t at = head & m_mask;
        const std::size_t first = std::min(count, capacity() - at);
        take(std::span<const Record>(m_memory.get() + at, first));
        if (count > first) take(std::span<const Record>(m_memory.get(), count - first));
        m_head.store(tail, std::memory_order_release);
        touchAhead(tail + 2 * count);
        return count;
    }

    std::size_t capacity() const { return m_mask + 1; }

private:
    /// The lines that the next records will go to were last in the consumer's cache, or in none: asked for now, they
    /// are here by then, where a store that misses would hold up the next atomic operation of this thread.
    void fetchAhead(std::size_t position) const {
        const char* const next = reinterpret_cast<const char*>(m_memory.get() + (position & m_mask));
        for (std::size_t line = 0; line < kLinesAhead; ++line)
            __builtin_prefetch(next + line * kCacheLine, 1);
    }

    // The consumer looks at the memory only after it has seen a tail that was stored after this.
    void allocate() { m_memory.reset(static_cast<Record*>(::operator new(capacity() * sizeof(Record), kPage))); }

    /// Consumer, in the first lap: has the pages before `position` made, so that the producer's stores meet no page
    /// fault. Leaves what is written there alone; where the system knows no such call, nothing but speed is lost.
    void touchAhead(std::size_t position) {
        constexpr auto page = static_cast<std::size_t>(kPage);
        const std::size_t until = std::min(position, capacity()) * sizeof(Record) / page * page;
        if (until <= m_touched) return;
#ifdef MADV_POPULATE_WRITE
        ::madvise(reinterpret_cast<char*>(m_memory.get()) + m_touched, until - m_touched, MADV_POPULATE_WRITE);
#endif
        m_touched = until;
    }

    static constexpr std::align_val_t kPage{4096};
    struct Free {
        void operator()(Record* memory) const { ::operator delete(memory, kPage); }
    };
    const std::size_t m_mask;
    std::unique_ptr<Record, Free> m_memory;
    alignas(kCacheLine) std::atomic<std::size_t> m_tail = 0;  // written by the producer
    std::size_t m_knownHead = 0;                              // the producer's copy of m_head
    alignas(kCacheLine) std::atomic<std::size_t> m_head = 0;  // written by the consumer
    std::size_t m_touched = 0;                                // the consumer's: bytes whose pages are there
};

}  // namespace expertscope
