// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>

#include "engine/base/units.h"
#include "profiler/capture/spsc_ring.h"

namespace expertscope {

/// How many records did not fit, and between when and when.
struct Loss {
    std::int64_t count = 0;
    Nanoseconds from, to;
};

/// Counts losses of one producer for one consumer, without locks. The count is exact; of an interval that is taken
/// while records are being lost, the end may already be that of the next one.
class LossCounter {
public:
    /// Producer.
    void add(std::int64_t count, Nanoseconds now) {
        if (m_count.load(std::memory_order_relaxed) == 0) m_from.store(now.count(), std::memory_order_relaxed);
        m_to.store(now.count(), std::memory_order_relaxed);
        m_count.fetch_add(count, std::memory_order_release);
    }
    /// Consumer: what was lost since the last call.
    std::optional<Loss> take() {
        if (m_count.load(std::memory_order_acquire) == 0) return std::nullopt;
        // Read before the count is taken: the producer sets it anew once it finds the count at zero.
        const Nanoseconds from(m_from.load(std::memory_order_relaxed));
        const std::int64_t count = m_count.exchange(0, std::memory_order_acq_rel);
        return Loss{count, from, Nanoseconds(m_to.load(std::memory_order_relaxed))};
    }

private:
    alignas(kCacheLine) std::atomic<std::int64_t> m_count = 0;
    std::atomic<std::int64_t> m_from = 0, m_to = 0;
};

}  // namespace expertscope
