// SPDX-License-Identifier: GPL-3.0-or-later
// Compiled once for every instruction set (Highway's foreach_target), hence no #pragma once.
#if defined(EXPERTSCOPE_MATMUL_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef EXPERTSCOPE_MATMUL_INL_H
#undef EXPERTSCOPE_MATMUL_INL_H
#else
#define EXPERTSCOPE_MATMUL_INL_H
#endif

#include <algorithm>

#include <hwy/cache_control.h>

#include "engine/compute/kernels.h"
#include "engine/compute/scratch.h"
#include "engine/compute/vector_math-inl.h"

// A product of a row and a token is one sum whose order is fixed by the number of columns alone: one vector of partial
// sums runs over blocks of 2·kLanes columns, each block adding its first and then its second vector, columns behind the
// end counting as zero, and sumsOfFour() ends it. Every path below (one token or many, eight rows or one) is that sum.

HWY_BEFORE_NAMESPACE();
namespace expertscope::HWY_NAMESPACE {

constexpr int kBlock = 2 * kLanes;
constexpr std::size_t kCacheLine = 64;

HWY_INLINE int padded(int cols) { return (cols + kBlock - 1) / kBlock * kBlock; }

/// Bytes at any address as 32-bit lanes.
HWY_INLINE hn::Vec<hn::Repartition<std::uint32_t, Floats>> loadBits(const std::byte* p) {
    const hn::Repartition<std::uint8_t, Floats> bytes;
    return hn::BitCast(hn::Repartition<std::uint32_t, Floats>(),
                       hn::LoadU(bytes, reinterpret_cast<const std::uint8_t*>(p)));
}

/// A block's weights as two vectors: its first and its second half.
struct F32Weights {
    static constexpr std::size_t kBytes = 4;
    static HWY_INLINE void load(const std::byte* p, Vector& first, Vector& second) {
        first = hn::BitCast(Floats(), loadBits(p));
        second = hn::BitCast(Floats(), loadBits(p + kLanes * kBytes));
    }
    static HWY_INLINE void arrange(const float* x, Vector& first, Vector& second) {
        first = hn::LoadU(Floats(), x);
        second = hn::LoadU(Floats(), x + kLanes);
    }
};

/// As F32Weights.
struct F16Weights {
    static constexpr std::size_t kBytes = 2;
    static HWY_INLINE Vector widen(const std::byte* p) {
#if HWY_TARGET == HWY_SSSE3 || HWY_TARGET == HWY_SSE4 || HWY_ARCH_ARM_V7
        // Without an instruction for it: the exponent moved by a product, which normalises subnormals too.
        const hn::Rebind<std::uint16_t, Floats> halves;
        const hn::RebindToUnsigned<Floats> words;
        const hn::Repartition<std::uint8_t, decltype(halves)> bytes;
        const auto raw = hn::BitCast(halves, hn::LoadU(bytes, reinterpret_cast<const std::uint8_t*>(p)));
        const auto half = hn::PromoteTo(words, raw);
        const auto magnitude = hn::ShiftLeft<13>(hn::And(half, hn::Set(words, 0x7FFFU)));
        const auto sign = hn::ShiftLeft<16>(hn::And(half, hn::Set(words, 0x8000U)));
        const Vector value = hn::Mul(hn::BitCast(Floats(), magnitude), hn::Set(Floats(), 0x1p112F));
        const auto special = hn::Gt(hn::BitCast(hn::RebindToSigned<Floats>(), magnitude),
                                    hn::Set(hn::RebindToSigned<Floats>(), 0x0F7FFFFF));
        const auto exponent = hn::IfThenElseZero(hn::RebindMask(words, special), hn::Set(words, 0x7F800000U));
        return hn::BitCast(Floats(), hn::Or(hn::Or(hn::BitCast(words, value), exponent), sign));
#else
        const hn::Rebind<hwy::float16_t, Floats> halves;
        const hn::Repartition<std::uint8_t, decltype(halves)> bytes;
        const auto raw = hn::LoadU(bytes, reinterpret_cast<const std::uint8_t*>(p));
        return hn::PromoteTo(Floats(), hn::BitCast(halves, raw));
#endif
    }
    static HWY_INLINE void load(const std::byte* p, Vector& first, Vector& second) {
        first = widen(p);
        second = widen(p + kLanes * kBytes);
    }
    static HWY_INLINE void arrange(const float* x, Vector& first, Vector& second) {
        F32Weights::arrange(x, first, second);
    }
};

/// The even and the odd columns of a block: a shift and a mask instead of a shuffle.
struct BF16Weights {
    static constexpr std::size_t kBytes = 2;
    static HWY_INLINE void load(const std::byte* p, Vector& even, Vector& odd) {
        const hn::Repartition<std::uint32_t, Floats> words;
        const auto pairs = loadBits(p);
        even = hn::BitCast(Floats(), hn::ShiftLeft<16>(pairs));
        odd = hn::BitCast(Floats(), hn::And(pairs, hn::Set(words, 0xFFFF0000U)));
    }
    static HWY_INLINE void arrange(const float* x, Vector& even, Vector& odd) {
        hn::LoadInterleaved2(Floats(), x, even, odd);
    }
};

/// One token's activations in the order in which W's weights come, zeros behind the end; out has padded(cols) floats.
template <class W>
HWY_INLINE void arrangeToken(const float* x, int cols, float* out) {
    const Floats d;
    Vector first, second;
    int c = 0;
    for (; c + kBlock <= cols; c += kBlock) {
        W::arrange(x + c, first, second);
        hn::Store(first, d, out + c);
        hn::Store(second, d, out + c + kLanes);
    }
    if (c == cols) return;
    HWY_ALIGN float tail[kBlock] = {};
    std::memcpy(tail, x + c, static_cast<std::size_t>(cols - c) * sizeof(float));
    W::arrange(tail, first, second);
    hn::Store(first, d, out + c);
    hn::Store(second, d, out + c + kLanes);
}

/// The weights of a row's last, incomplete block.
template <class W>
HWY_INLINE void loadTail(const std::byte* p, int count, Vector& first, Vector& second) {
    HWY_ALIGN std::byte tail[kBlock * W::kBytes] = {};
    std::memcpy(tail, p, static_cast<std::size_t>(count) * W::kBytes);
    W::load(tail, first, second);
}

/// Partial sums of R rows and one token, weights as they lie. `stride` is bytes from row to row. Not inlined: in its
/// callers' company the compiler keeps the row pointers in memory. kAhead fetches the R rows that follow, in the order
/// of memory.
template <int R, class W, bool kAhead = false>
HWY_NOINLINE void streamRows(const std::byte* w, std::size_t stride, const float* x, int cols, Vector* sums) {
    const Floats d;
    const std::byte* row[R];
    Vector sum[R];
    for (int r = 0; r < R; ++r) {
        row[r] = w + static_cast<std::size_t>(r) * stride;
        sum[r] = hn::Zero(d);
    }
    const auto whole = static_cast<std::size_t>(cols / kBlock) * kBlock;
    [[maybe_unused]] const std::byte* const next = w + R * stride;
    Vector first, second;
    for (std::size_t c = 0; c < whole; c += kBlock) {
        const Vector x0 = hn::Load(d, x + c);
        const Vector x1 = hn::Load(d, x + c + kLanes);
        if constexpr (kAhead) {
            for (std::size_t line = 0; line < R * kBlock * W::kBytes; line += kCacheLine) {
                hwy::Prefetch(next + c * R * W::kBytes + line);
            }
        }
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) {
            W::load(row[r] + c * W::kBytes, first, second);
            sum[r] = hn::MulAdd(second, x1, hn::MulAdd(first, x0, sum[r]));
        }
    }
    if (const int rest = cols - static_cast<int>(whole); rest > 0) {
        const Vector x0 = hn::Load(d, x + whole);
        const Vector x1 = hn::Load(d, x + whole + kLanes);
        for (int r = 0; r < R; ++r) {
            loadTail<W>(row[r] + whole * W::kBytes, rest, first, second);
            sum[r] = hn::MulAdd(second, x1, hn::MulAdd(first, x0, sum[r]));
        }
    }
    for (int r = 0; r < R; ++r)
        sums[r] = sum[r];
}

/// y[t, r] = row r · x[t] for `rows` rows from w on; x arranged. All tokens take a group of rows while it is near.
template <class W>
HWY_INLINE void streamMatrix(const std::byte* w, std::size_t stride, int cols, int rows, const float* x, int tokens,
                             float* y, std::size_t yStride) {
    const Quad quad;
    const auto width = static_cast<std::size_t>(padded(cols));
    // Short rows end before the CPU's own prefetchers have seen them begin; on long ones these do better alone.
    constexpr std::size_t kShort = 1024;
    const bool shortRows = stride <= kShort && stride == static_cast<std::size_t>(cols) * W::kBytes;
    const auto streamEight = shortRows ? &streamRows<8, W, true> : &streamRows<8, W, false>;
    Vector sums[8];
    int r = 0;
    for (; r + 8 <= rows; r += 8, w += 8 * stride) {
        for (int t = 0; t < tokens; ++t) {
            float* const out = y + t * yStride + r;
            streamEight(w, stride, x + t * width, cols, sums);
            hn::StoreU(sumsOfFour(sums[0], sums[1], sums[2], sums[3]), quad, out);
            hn::StoreU(sumsOfFour(sums[4], sums[5], sums[6], sums[7]), quad, out + 4);
        }
    }
    for (; r + 4 <= rows; r += 4, w += 4 * stride) {
        for (int t = 0; t < tokens; ++t) {
            streamRows<4, W>(w, stride, x + t * width, cols, sums);
            hn::StoreU(sumsOfFour(sums[0], sums[1], sums[2], sums[3]), quad, y + t * yStride + r);
        }
    }
    for (; r < rows; ++r, w += stride) {
        for (int t = 0; t < tokens; ++t) {
            streamRows<1, W>(w, stride, x + t * width, cols, sums);
            y[t * yStride + r] = sumOfLanes(sums[0]);
        }
    }
}

/// Four rows as float32 in arranged order, one behind the other; rows that are missing are zero.
template <class W>
HWY_INLINE void packRows(const std::byte* w, std::size_t stride, int rows, int cols, float* out) {
    const Floats d;
    const int width = padded(cols);
    Vector first = hn::Zero(d);
    Vector second = hn::Zero(d);
    for (int r = 0; r < 4; ++r) {
        const std::byte* row = w + static_cast<std::size_t>(r) * stride;
        for (int c = 0; c < width; c += kBlock) {
            const std::byte* block = row + static_cast<std::size_t>(c) * W::kBytes;
            if (r >= rows) {
                first = second = hn::Zero(d);
            } else if (c + kBlock <= cols) {
                W::load(block, first, second);
            } else {
                loadTail<W>(block, cols - c, first, second);
            }
            hn::Store(first, d, out + c);
            hn::Store(second, d, out + c + kLanes);
        }
        out += width;
    }
}

/// y[t, 0..3] = four packed rows · T arranged tokens.
template <int T>
HWY_NOINLINE void tile(const float* w, const float* x, std::size_t width, int rows, float* y, std::size_t yStride) {
    const Floats d;
    Vector sum[T][4];
    for (int t = 0; t < T; ++t) {
        for (int r = 0; r < 4; ++r)
            sum[t][r] = hn::Zero(d);
    }
    for (std::size_t c = 0; c < width; c += kLanes) {
        Vector row[4];
#pragma GCC unroll 4
        for (int r = 0; r < 4; ++r)
            row[r] = hn::Load(d, w + r * width + c);
#pragma GCC unroll 4
        for (int t = 0; t < T; ++t) {
            const Vector token = hn::Load(d, x + t * width + c);
#pragma GCC unroll 4
            for (int r = 0; r < 4; ++r)
                sum[t][r] = hn::MulAdd(row[r], token, sum[t][r]);
        }
    }
    for (int t = 0; t < T; ++t) {
        alignas(16) float quad[4];
        hn::Store(sumsOfFour(sum[t][0], sum[t][1], sum[t][2], sum[t][3]), Quad(), quad);
        std::memcpy(y + static_cast<std::size_t>(t) * yStride, quad, static_cast<std::size_t>(rows) * sizeof(float));
    }
}

/// As streamMatrix() for two or more tokens: unpacks four rows at a time and lets tiles of tokens run over them.
template <class W>
HWY_INLINE void tileMatrix(const std::byte* w, std::size_t stride, int cols, int rows, const float* x, int tokens,
                           float* packed, float* y, std::size_t yStride) {
    const auto width = static_cast<std::size_t>(padded(cols));
    for (int r = 0; r < rows; r += 4, w += 4 * stride) {
        const int count = std::min(4, rows - r);
        packRows<W>(w, stride, count, cols, packed);
        int t = 0;
        for (; tokens - t > 4 || tokens - t == 3; t += 3) {
            tile<3>(packed, x + t * width, width, count, y + t * yStride + r, yStride);
        }
        for (; t < tokens; t += 2)
            tile<2>(packed, x + t * width, width, count, y + t * yStride + r, yStride);
    }
}

template <class W>
HWY_INLINE void matmulOf(const MatrixView& w, const float* x, int tokens, int rowBegin, int rowEnd, float* y) {
    constexpr int kTokensAtOnce = 48;  // arranged activations of so many stay in a second-level cache
    constexpr int kFewTokens = 3;      // for more, unpacking the weights once pays
    const auto width = static_cast<std::size_t>(padded(w.cols));
    const auto yStride = static_cast<std::size_t>(w.rows);
    const std::size_t stride = static_cast<std::size_t>(w.cols) * W::kBytes;
    const std::byte* const first = w.data + static_cast<std::size_t>(rowBegin) * stride;
    float* const packed = kernelScratch(width * static_cast<std::size_t>(4 + std::min(tokens, kTokensAtOnce)));
    float* const arranged = packed + 4 * width;
    for (int done = 0; done < tokens; done += kTokensAtOnce) {
        const int count = std::min(kTokensAtOnce, tokens - done);
        for (int t = 0; t < count; ++t) {
            arrangeToken<W>(x + static_cast<std::size_t>(done + t) * w.cols, w.cols, arranged + t * width);
        }
        float* const out = y + static_cast<std::size_t>(done) * yStride + rowBegin;
        if (count <= kFewTokens) {
            streamMatrix<W>(first, stride, w.cols, rowEnd - rowBegin, arranged, count, out, yStride);
        } else {
            tileMatrix<W>(first, stride, w.cols, rowEnd - rowBegin, arranged, count, packed, out, yStride);
        }
    }
}

}  // namespace expertscope::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
