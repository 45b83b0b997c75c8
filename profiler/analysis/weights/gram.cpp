// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/analysis/weights/gram.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "engine/compute/thread_pool.h"
#include "profiler/analysis/weights/piece_kernels.h"

namespace expertscope {
namespace {

constexpr std::size_t kRowsAtOnce = 16;

}  // namespace

/// Products of rows [first, first + kRowsAtOnce) with those from `first` on; touches no others' sums.
void Gram::addRows(const float* rows, std::size_t columns, std::size_t first) {
    constexpr std::size_t kRows = PieceKernels::kRows, kOthers = PieceKernels::kOthers;
    const std::size_t end = std::min(first + kRowsAtOnce, m_count);
    std::array<const float*, kRows> tileRows{};
    std::array<const float*, kOthers> others{};
    float products[kRows * kOthers];
    for (std::size_t a = first; a < end; a += kRows) {
        // Behind the last row it is taken again, and what comes of it left out.
        for (std::size_t r = 0; r < kRows; ++r)
            tileRows[r] = rows + std::min(a + r, m_count - 1) * columns;
        for (std::size_t b = a; b < m_count; b += kOthers) {
            for (std::size_t o = 0; o < kOthers; ++o)
                others[o] = rows + std::min(b + o, m_count - 1) * columns;
            PieceKernels::dotTile(tileRows, others, columns, products);
            for (std::size_t o = 0; o < kOthers && b + o < m_count; ++o)
                for (std::size_t r = 0; r < kRows && a + r <= b + o; ++r)
                    m_sums[(b + o) * m_count + a + r] += static_cast<double>(products[r * kOthers + o]);
        }
    }
}

void Gram::add(const float* rows, std::size_t columns) {
    for (std::size_t first = 0; first < m_count; first += kRowsAtOnce)
        addRows(rows, columns, first);
}

void Gram::add(const float* rows, std::size_t columns, ThreadPool& pool) {
    const std::size_t blocks = (m_count + kRowsAtOnce - 1) / kRowsAtOnce;
    pool.forEach(static_cast<int>(blocks),
                 [&](int block, int) { addRows(rows, columns, static_cast<std::size_t>(block) * kRowsAtOnce); });
}

void Gram::add(const Gram& other) {
    for (std::size_t i = 0; i < m_sums.size(); ++i)
        m_sums[i] += other.m_sums[i];
}

std::vector<double> Gram::values() const {
    std::vector<double> whole(m_sums.size());
    for (std::size_t b = 0; b < m_count; ++b)
        for (std::size_t a = 0; a <= b; ++a)
            whole[a * m_count + b] = whole[b * m_count + a] = m_sums[b * m_count + a];
    return whole;
}

std::vector<double> cosinesOf(std::span<const double> gram, std::size_t count) {
    std::vector<double> cosines(gram.size(), std::numeric_limits<double>::quiet_NaN());
    const auto norm = [&](std::size_t i) { return std::sqrt(gram[i * count + i]); };
    for (std::size_t a = 0; a < count; ++a) {
        for (std::size_t b = 0; b < count; ++b) {
            const double lengths = norm(a) * norm(b);
            if (!std::isfinite(lengths) || lengths <= 0) continue;
            cosines[a * count + b] = a == b ? 1.0 : std::clamp(gram[a * count + b] / lengths, -1.0, 1.0);
        }
    }
    return cosines;
}

}  // namespace expertscope
