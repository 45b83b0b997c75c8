// SPDX-License-Identifier: GPL-3.0-or-later
// Compiled once for every instruction set (Highway's foreach_target), hence no #pragma once.
#if defined(EXPERTSCOPE_VECTOR_MATH_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef EXPERTSCOPE_VECTOR_MATH_INL_H
#undef EXPERTSCOPE_VECTOR_MATH_INL_H
#else
#define EXPERTSCOPE_VECTOR_MATH_INL_H
#endif

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

#include <hwy/contrib/math/math-inl.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace expertscope::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using Floats = hn::ScalableTag<float>;
using Vector = hn::Vec<Floats>;
using Quad = hn::FixedTag<float, 4>;

constexpr int kLanes = static_cast<int>(hn::MaxLanes(Floats()));

/// The first `count` floats at p, zeros behind them; reads nothing else.
HWY_INLINE Vector loadFirst(const float* p, int count) {
    HWY_ALIGN float lanes[kLanes] = {};
    std::memcpy(lanes, p, static_cast<std::size_t>(count) * sizeof(float));
    return hn::Load(Floats(), lanes);
}

HWY_INLINE void storeFirst(Vector v, float* p, int count) {
    HWY_ALIGN float lanes[kLanes];
    hn::Store(v, Floats(), lanes);
    std::memcpy(p, lanes, static_cast<std::size_t>(count) * sizeof(float));
}

/// out[i] = f(a[i], b[i]). The last lanes run the same instructions, so an element's bits do not depend on its place.
template <class F>
HWY_INLINE void mapPairs(const float* a, const float* b, int n, float* out, F&& f) {
    const Floats d;
    int i = 0;
    for (; i + kLanes <= n; i += kLanes)
        hn::StoreU(f(hn::LoadU(d, a + i), hn::LoadU(d, b + i)), d, out + i);
    if (i < n) storeFirst(f(loadFirst(a + i, n - i), loadFirst(b + i, n - i)), out + i, n - i);
}

/// eˣ to one unit in the last place for every x; NaN stays NaN.
HWY_INLINE Vector exponential(Vector x) {
    const Floats d;
    const Vector clamped = hn::Min(hn::Max(x, hn::Set(d, -105.0F)), hn::Set(d, 89.0F));
    return hn::IfThenElse(hn::IsNaN(x), x, hn::Exp(d, clamped));
}

/// Adds the upper half of the lanes to the lower until four are left.
template <class V>
HWY_INLINE hn::Vec<Quad> foldToQuad(V v) {
    using D = hn::DFromV<V>;
    if constexpr (hn::MaxLanes(D()) == 4) {
        return v;
    } else {
        const hn::Half<D> half;
        return foldToQuad(hn::Add(hn::LowerHalf(half, v), hn::UpperHalf(half, v)));
    }
}

/// The sums of the lanes of four vectors, in their order. Each sum pairs its lanes in one way, wherever it stands.
HWY_INLINE hn::Vec<Quad> sumsOfFour(Vector a, Vector b, Vector c, Vector e) {
    const Floats d;
    const hn::Repartition<std::uint64_t, Floats> wide;
    const auto ab = hn::BitCast(wide, hn::Add(hn::InterleaveLower(d, a, b), hn::InterleaveUpper(d, a, b)));
    const auto ce = hn::BitCast(wide, hn::Add(hn::InterleaveLower(d, c, e), hn::InterleaveUpper(d, c, e)));
    const Vector lower = hn::BitCast(d, hn::InterleaveLower(wide, ab, ce));
    const Vector upper = hn::BitCast(d, hn::InterleaveUpper(wide, ab, ce));
    return foldToQuad(hn::Add(lower, upper));
}

HWY_INLINE float sumOfLanes(Vector v) {
    const Vector zero = hn::Zero(Floats());
    return hn::GetLane(sumsOfFour(v, zero, zero, zero));
}

HWY_INLINE float sumOfSquares(const float* x, int n) {
    const Floats d;
    Vector sum = hn::Zero(d);
    int i = 0;
    for (; i + kLanes <= n; i += kLanes) {
        const Vector v = hn::LoadU(d, x + i);
        sum = hn::MulAdd(v, v, sum);
    }
    if (i < n) {
        const Vector v = loadFirst(x + i, n - i);
        sum = hn::MulAdd(v, v, sum);
    }
    return sumOfLanes(sum);
}

/// In place x[i] = e^(x[i] - largest); returns their sum.
HWY_INLINE float exponentials(float* x, int n, float largest) {
    const Floats d;
    const Vector shift = hn::Set(d, largest);
    Vector sum = hn::Zero(d);
    int i = 0;
    for (; i + kLanes <= n; i += kLanes) {
        const Vector e = exponential(hn::Sub(hn::LoadU(d, x + i), shift));
        hn::StoreU(e, d, x + i);
        sum = hn::Add(sum, e);
    }
    if (i < n) {
        storeFirst(exponential(hn::Sub(loadFirst(x + i, n - i), shift)), x + i, n - i);
        sum = hn::Add(sum, loadFirst(x + i, n - i));
    }
    return sumOfLanes(sum);
}

HWY_INLINE float largestOf(const float* x, int n) {
    const Floats d;
    if (n < kLanes) {
        float largest = x[0];
        for (int i = 1; i < n; ++i)
            largest = std::fmax(largest, x[i]);
        return largest;
    }
    Vector largest = hn::LoadU(d, x + n - kLanes);
    for (int i = 0; i + kLanes <= n; i += kLanes)
        largest = hn::Max(largest, hn::LoadU(d, x + i));
    return hn::GetLane(hn::MaxOfLanes(d, largest));
}

}  // namespace expertscope::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
