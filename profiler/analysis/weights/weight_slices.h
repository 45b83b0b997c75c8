// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <algorithm>
#include <atomic>
#include <functional>
#include <vector>

#include "engine/compute/thread_pool.h"
#include "engine/model/element_convert.h"
#include "profiler/analysis/weights/expert_weights.h"
#include "profiler/analysis/weights/piece_kernels.h"

namespace expertscope {

/// Some rows of one matrix of some units that all have the same shape: what one thread reads in one go.
struct WeightSlice {
    ExpertMatrix matrix = ExpertMatrix::Up;
    std::int64_t firstRow = 0, endRow = 0;
};

/// A piece of a slice: the same elements of every unit.
struct WeightPiece {
    const float* values;  ///< [units, length]
    std::int64_t first;   ///< of the matrix's elements
    std::size_t length;
};

/// The three matrices cut into slices of whole rows. The cut depends on the shape alone.
inline std::vector<WeightSlice> slicesOf(const ExpertMatrices& weights, LayerIndex layer, std::size_t unit,
                                         std::int64_t slicesOfMatrix) {
    std::vector<WeightSlice> slices;
    for (const ExpertMatrix matrix : kExpertMatrices) {
        const std::int64_t rows = weights.rows(layer, unit, matrix);
        const std::int64_t count = std::clamp<std::int64_t>(slicesOfMatrix, 1, std::max<std::int64_t>(rows, 1));
        for (std::int64_t n = 0; n < count; ++n)
            slices.push_back({matrix, rows * n / count, rows * (n + 1) / count});
    }
    return slices;
}

/// Reads the same elements of `units` and gives them to `use`, a piece at a time. One read brings several pieces: a
/// piece's floats stay in a second-level cache, and the system is called seldom.
class SliceReader {
public:
    SliceReader(const ExpertMatrices& weights, LayerIndex layer, const std::vector<std::size_t>& units)
        : m_weights(weights), m_layer(layer), m_units(units), m_raw(units.size()) {}

    template <class Use>
    void read(const WeightSlice& slice, Use&& use) {
        const std::int64_t columns = m_weights.columns(m_layer, m_units.front(), slice.matrix);
        const std::int64_t end = slice.endRow * columns;
        for (std::int64_t first = slice.firstRow * columns; first < end; first += kReadLength) {
            const std::int64_t block = std::min(kReadLength, end - first);
            readRaw(slice.matrix, first, block);
            for (std::int64_t at = 0; at < block; at += kPieceLength) {
                const std::int64_t length = std::min(kPieceLength, block - at);
                convert(slice.matrix, at, length);
                use(WeightPiece{m_values.data(), first + at, static_cast<std::size_t>(length)});
            }
        }
    }

private:
    /// Not a power of two: rows that lie a page apart would take one another's place in the first-level cache.
    static constexpr std::int64_t kPieceLength = 960, kReadLength = 8 * kPieceLength;

    void readRaw(ExpertMatrix matrix, std::int64_t first, std::int64_t length) {
        for (std::size_t u = 0; u < m_units.size(); ++u) {
            const std::size_t size = elementSize(m_weights.type(m_layer, m_units[u], matrix));
            m_raw[u].resize(static_cast<std::size_t>(length) * size);
            m_weights.read(m_layer, m_units[u], matrix, first, m_raw[u]);
        }
    }

    void convert(ExpertMatrix matrix, std::int64_t at, std::int64_t length) {
        const auto count = static_cast<std::size_t>(length);
        m_values.resize(m_units.size() * count);
        for (std::size_t u = 0; u < m_units.size(); ++u) {
            const ElementType type = m_weights.type(m_layer, m_units[u], matrix);
            const std::size_t size = elementSize(type);
            const auto raw =
                std::span<const std::byte>(m_raw[u]).subspan(static_cast<std::size_t>(at) * size, count * size);
            const auto values = std::span(m_values).subspan(u * count, count);
            if (type == ElementType::BF16)
                PieceKernels::widenBf16(raw.data(), values);
            else
                convertToFloats(type, raw, values);
        }
    }

    const ExpertMatrices& m_weights;
    LayerIndex m_layer;
    const std::vector<std::size_t>& m_units;
    std::vector<std::vector<std::byte>> m_raw;  ///< [units]
    std::vector<float> m_values;
};

/// Runs body(item, worker, pause) for every item on all threads and tells progress from the calling thread. Items that
/// take long call pause(part of the item that is done) now and then. When telling progress throws, or an item does, the
/// items that have not begun are left out, those that are going on end at their next pause, and the exception goes on.
template <class Body>
void forEachLongItem(ThreadPool& pool, std::size_t items, const std::function<void(double)>& progress, Body&& body) {
    struct Abandoned {};
    std::atomic<std::size_t> done{0};
    std::atomic<bool> stopped{false};
    pool.forEach(static_cast<int>(items), [&](int item, int worker) {
        const auto pause = [&](double part) {
            if (stopped.load(std::memory_order_relaxed)) throw Abandoned();
            const auto whole = static_cast<double>(done.load(std::memory_order_relaxed));
            if (worker == 0 && progress) progress((whole + part) / static_cast<double>(items));
        };
        if (stopped.load(std::memory_order_relaxed)) return;
        try {
            body(static_cast<std::size_t>(item), static_cast<std::size_t>(worker), pause);
            done.fetch_add(1, std::memory_order_relaxed);
            pause(0);
        } catch (const Abandoned&) {
            return;  // who stopped it tells why
        } catch (...) {
            stopped.store(true, std::memory_order_relaxed);
            throw;
        }
    });
}

/// As forEachLongItem(), of items that take a moment each: body(item, worker).
template <class Body>
void forEachSlice(ThreadPool& pool, std::size_t items, const std::function<void(double)>& progress, Body&& body) {
    forEachLongItem(pool, items, progress,
                    [&](std::size_t item, std::size_t worker, const auto&) { body(item, worker); });
}

}  // namespace expertscope
