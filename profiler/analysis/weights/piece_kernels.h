// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <array>
#include <cstddef>
#include <span>

namespace expertscope {

/// Vector kernels of the analyses of weights (Highway, the best instruction set of the CPU): what each element of a
/// checkpoint passes through, so that reading it is what takes long. An element's bits, and the order of every sum,
/// depend on the number of columns alone.
struct PieceKernels {
    static constexpr std::size_t kRows = 4, kOthers = 3;  ///< of a tile: as many sums as registers hold

    /// Little-endian bf16 to float32: exact. in: 2 · out.size() bytes.
    static void widenBf16(const std::byte* in, std::span<float> out);
    /// sums[i] += values[i].
    static void addTo(std::span<const float> values, float* sums);
    static float sumOf(std::span<const float> values);
    /// products[r · kOthers + o] = Σ_c rows[r][c] · others[o][c] over `columns`.
    static void dotTile(const std::array<const float*, kRows>& rows, const std::array<const float*, kOthers>& others,
                        std::size_t columns, float* products);
};

}  // namespace expertscope
