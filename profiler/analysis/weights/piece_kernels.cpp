// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/analysis/weights/piece_kernels.h"

#include "engine/model/element_convert.h"

// As in engine/compute: the tile needs vectors whose length the compiler knows.
#define HWY_DISABLED_TARGETS (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "profiler/analysis/weights/piece_kernels.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#if HWY_TARGET != HWY_SCALAR
#include "engine/compute/vector_math-inl.h"
#endif

HWY_BEFORE_NAMESPACE();
namespace expertscope::HWY_NAMESPACE {

constexpr std::size_t kTileRows = PieceKernels::kRows, kTileOthers = PieceKernels::kOthers;

#if HWY_TARGET == HWY_SCALAR

void widenBf16(const std::byte* in, std::size_t count, float* out) {
    convertToFloats(ElementType::BF16, {in, 2 * count}, {out, count});
}
void addTo(const float* values, std::size_t count, float* sums) {
    for (std::size_t i = 0; i < count; ++i)
        sums[i] += values[i];
}
float sumOf(const float* values, std::size_t count) {
    float sum = 0;
    for (std::size_t i = 0; i < count; ++i)
        sum += values[i];
    return sum;
}
void dotTile(const float* const* rows, const float* const* others, std::size_t columns, float* products) {
    for (std::size_t r = 0; r < kTileRows; ++r) {
        for (std::size_t o = 0; o < kTileOthers; ++o) {
            float sum = 0;
            for (std::size_t c = 0; c < columns; ++c)
                sum += rows[r][c] * others[o][c];
            products[r * kTileOthers + o] = sum;
        }
    }
}

#else

constexpr std::size_t kStep = static_cast<std::size_t>(kLanes);

void widenBf16(const std::byte* in, std::size_t count, float* out) {
    const Floats d;
    const hn::Rebind<std::uint16_t, Floats> halves;
    const hn::RebindToUnsigned<Floats> words;
    const hn::Repartition<std::uint8_t, decltype(halves)> bytes;
    std::size_t i = 0;
    for (; i + kStep <= count; i += kStep) {
        const auto raw = hn::BitCast(halves, hn::LoadU(bytes, reinterpret_cast<const std::uint8_t*>(in + 2 * i)));
        hn::StoreU(hn::BitCast(d, hn::ShiftLeft<16>(hn::PromoteTo(words, raw))), d, out + i);
    }
    convertToFloats(ElementType::BF16, {in + 2 * i, 2 * (count - i)}, {out + i, count - i});
}

void addTo(const float* values, std::size_t count, float* sums) {
    const Floats d;
    std::size_t i = 0;
    for (; i + kStep <= count; i += kStep)
        hn::StoreU(hn::Add(hn::LoadU(d, sums + i), hn::LoadU(d, values + i)), d, sums + i);
    for (; i < count; ++i)
        sums[i] += values[i];
}

float sumOf(const float* values, std::size_t count) {
    const Floats d;
    Vector even = hn::Zero(d), odd = hn::Zero(d);
    std::size_t i = 0;
    for (; i + 2 * kStep <= count; i += 2 * kStep) {
        even = hn::Add(even, hn::LoadU(d, values + i));
        odd = hn::Add(odd, hn::LoadU(d, values + i + kStep));
    }
    float rest = 0;
    for (; i < count; ++i)
        rest += values[i];
    return sumOfLanes(hn::Add(even, odd)) + rest;
}

void dotTile(const float* const* rows, const float* const* others, std::size_t columns, float* products) {
    const Floats d;
    Vector sums[kTileRows][kTileOthers];
    for (auto& row : sums)
        for (Vector& sum : row)
            sum = hn::Zero(d);
    const auto addColumns = [&](auto&& load) HWY_ATTR {
        Vector other[kTileOthers];
#pragma GCC unroll 3
        for (std::size_t o = 0; o < kTileOthers; ++o)
            other[o] = load(others[o]);
#pragma GCC unroll 4
        for (std::size_t r = 0; r < kTileRows; ++r) {
            const Vector row = load(rows[r]);
#pragma GCC unroll 3
            for (std::size_t o = 0; o < kTileOthers; ++o)
                sums[r][o] = hn::MulAdd(row, other[o], sums[r][o]);
        }
    };
    std::size_t c = 0;
    for (; c + kStep <= columns; c += kStep)
        addColumns([d, c](const float* p) HWY_ATTR { return hn::LoadU(d, p + c); });
    if (c < columns)
        addColumns([c, rest = static_cast<int>(columns - c)](const float* p)
                       HWY_ATTR { return loadFirst(p + c, rest); });
    static_assert(kTileRows == 4);
    for (std::size_t o = 0; o < kTileOthers; ++o) {
        alignas(16) float quad[kTileRows];
        hn::Store(sumsOfFour(sums[0][o], sums[1][o], sums[2][o], sums[3][o]), Quad(), quad);
        for (std::size_t r = 0; r < kTileRows; ++r)
            products[r * kTileOthers + o] = quad[r];
    }
}

#endif
}  // namespace expertscope::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace expertscope {
namespace {
HWY_EXPORT(widenBf16);
HWY_EXPORT(addTo);
HWY_EXPORT(sumOf);
HWY_EXPORT(dotTile);
}  // namespace

void PieceKernels::widenBf16(const std::byte* in, std::span<float> out) {
    HWY_DYNAMIC_DISPATCH(widenBf16)(in, out.size(), out.data());
}

void PieceKernels::addTo(std::span<const float> values, float* sums) {
    HWY_DYNAMIC_DISPATCH(addTo)(values.data(), values.size(), sums);
}

float PieceKernels::sumOf(std::span<const float> values) {
    return HWY_DYNAMIC_DISPATCH(sumOf)(values.data(), values.size());
}

void PieceKernels::dotTile(const std::array<const float*, kRows>& rows, const std::array<const float*, kOthers>& others,
                           std::size_t columns, float* products) {
    HWY_DYNAMIC_DISPATCH(dotTile)(rows.data(), others.data(), columns, products);
}

}  // namespace expertscope
#endif
