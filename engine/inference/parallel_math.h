// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <algorithm>
#include <cstdint>

#include "engine/compute/kernels.h"
#include "engine/compute/thread_pool.h"

namespace expertscope {

/// Kernels spread over a pool. Splitting changes no bit of a result (see Kernels).
class ParallelMath {
public:
    ParallelMath(const Kernels& kernels, ThreadPool& pool) : m_kernels(&kernels), m_pool(&pool) {}

    const Kernels& kernels() const { return *m_kernels; }
    ThreadPool& pool() const { return *m_pool; }

    /// y = W x; x [tokens, cols], y [tokens, rows].
    void linear(const MatrixView& w, const float* x, int tokens, float* y) const {
        const std::int64_t work = std::int64_t{w.rows} * w.cols * tokens;
        const int blocks = blocksFor(work, w.rows / kRowUnit);
        if (blocks == 1) return m_kernels->matmul(w, x, tokens, 0, w.rows, y);
        const int units = (w.rows + kRowUnit - 1) / kRowUnit;
        m_pool->forEach(blocks, [&](int block, int) {
            const int begin = static_cast<int>(std::int64_t{units} * block / blocks) * kRowUnit;
            const int end = static_cast<int>(std::int64_t{units} * (block + 1) / blocks) * kRowUnit;
            m_kernels->matmul(w, x, tokens, begin, std::min(end, w.rows), y);
        });
    }

    /// Into how many parts `work` multiply-adds are worth splitting, `most` at the most.
    int blocksFor(std::int64_t work, int most) const {
        if (m_pool->threads() == 1 || work < 2 * kGrain) return 1;
        // A few parts a thread, so that a thread that was held up does not hold up the rest.
        return static_cast<int>(
            std::clamp<std::int64_t>(work / kGrain, 1, std::min(std::max(most, 1), m_pool->threads() * 4)));
    }

private:
    static constexpr std::int64_t kGrain = 24 << 10;  ///< multiply-adds that outweigh handing a part to another thread
    static constexpr int kRowUnit = 8;                ///< rows that the kernels take at once

    const Kernels* m_kernels;
    ThreadPool* m_pool;
};

}  // namespace expertscope
