// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/compute/kernels.h"

// Vectors whose length the compiler does not know cannot be kept in arrays, which the tiles need; NEON serves there.
#define HWY_DISABLED_TARGETS (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/compute/kernels.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#if HWY_TARGET != HWY_SCALAR
#include "engine/compute/matmul-inl.h"
#include "engine/compute/vector_math-inl.h"
#endif

HWY_BEFORE_NAMESPACE();
namespace expertscope::HWY_NAMESPACE {
#if HWY_TARGET == HWY_SCALAR

// Without vectors the plain loops are as good as any.
void matmul(const MatrixView& w, const float* x, int tokens, int rowBegin, int rowEnd, float* y) {
    Kernels::reference().matmul(w, x, tokens, rowBegin, rowEnd, y);
}
void rmsNorm(const float* x, const float* weight, float eps, int n, float* out) {
    Kernels::reference().rmsNorm(x, weight, eps, n, out);
}
void rope(float* head, const float* cosines, const float* sines, int n) {
    Kernels::reference().rope(head, cosines, sines, n);
}
void attend(const float* query, const float* keys, const float* values, std::size_t stride, int count, int n,
            float scale, float* scores, float* out) {
    Kernels::reference().attend(query, keys, values, stride, count, n, scale, scores, out);
}
void siluMultiply(const float* gate, const float* up, int n, float* out) {
    Kernels::reference().siluMultiply(gate, up, n, out);
}
void addScaled(float a, const float* x, int n, float* y) { Kernels::reference().addScaled(a, x, n, y); }
float norm(const float* x, int n) { return Kernels::reference().norm(x, n); }
float softmax(float* x, int n) { return Kernels::reference().softmax(x, n); }
int largest(float* x, int n, int k, int* out) { return Kernels::reference().largest(x, n, k, out); }

#else

void matmul(const MatrixView& w, const float* x, int tokens, int rowBegin, int rowEnd, float* y) {
    switch (w.type) {
        case ElementType::F32:
            return matmulOf<F32Weights>(w, x, tokens, rowBegin, rowEnd, y);
        case ElementType::F16:
            return matmulOf<F16Weights>(w, x, tokens, rowBegin, rowEnd, y);
        case ElementType::BF16:
            return matmulOf<BF16Weights>(w, x, tokens, rowBegin, rowEnd, y);
        case ElementType::Other:
            break;
    }
    HWY_ABORT("matmul of a tensor whose type has no kernel");
}

void rmsNorm(const float* x, const float* weight, float eps, int n, float* out) {
    const float factor = 1.0F / std::sqrt(sumOfSquares(x, n) / static_cast<float>(n) + eps);
    const Vector f = hn::Set(Floats(), factor);
    mapPairs(x, weight, n, out, [f](Vector v, Vector w) HWY_ATTR { return hn::Mul(hn::Mul(v, f), w); });
}

void rope(float* head, const float* cosines, const float* sines, int n) {
    const Floats d;
    const int half = n / 2;
    float* const upper = head + half;
    const auto rotate = [](Vector& a, Vector& b, Vector c, Vector s) HWY_ATTR {
        const Vector turned = hn::NegMulAdd(b, s, hn::Mul(a, c));
        b = hn::MulAdd(a, s, hn::Mul(b, c));
        a = turned;
    };
    int i = 0;
    for (; i + kLanes <= half; i += kLanes) {
        Vector a = hn::LoadU(d, head + i);
        Vector b = hn::LoadU(d, upper + i);
        rotate(a, b, hn::LoadU(d, cosines + i), hn::LoadU(d, sines + i));
        hn::StoreU(a, d, head + i);
        hn::StoreU(b, d, upper + i);
    }
    if (const int rest = half - i; rest > 0) {
        Vector a = loadFirst(head + i, rest);
        Vector b = loadFirst(upper + i, rest);
        rotate(a, b, loadFirst(cosines + i, rest), loadFirst(sines + i, rest));
        storeFirst(a, head + i, rest);
        storeFirst(b, upper + i, rest);
    }
}

/// out[0 .. V·kLanes) = Σ_j weights[j] · values[j], times factor.
template <int V>
void weightedSum(const float* weights, const float* values, std::size_t stride, int count, float factor, float* out) {
    const Floats d;
    Vector sum[V];
    for (int v = 0; v < V; ++v)
        sum[v] = hn::Zero(d);
    for (int j = 0; j < count; ++j) {
        const Vector weight = hn::Set(d, weights[j]);
        const float* const row = values + static_cast<std::size_t>(j) * stride;
#pragma GCC unroll 8
        for (int v = 0; v < V; ++v)
            sum[v] = hn::MulAdd(weight, hn::LoadU(d, row + v * kLanes), sum[v]);
    }
    for (int v = 0; v < V; ++v)
        hn::StoreU(hn::Mul(sum[v], hn::Set(d, factor)), d, out + v * kLanes);
}

void attend(const float* query, const float* keys, const float* values, std::size_t stride, int count, int n,
            float scale, float* scores, float* out) {
    const Floats d;
    float* const arranged = kernelScratch(static_cast<std::size_t>(padded(n)));
    arrangeToken<F32Weights>(query, n, arranged);
    streamMatrix<F32Weights>(reinterpret_cast<const std::byte*>(keys), stride * sizeof(float), n, count, arranged, 1,
                             scores, 0);
    const Vector factor = hn::Set(d, scale);
    mapPairs(scores, scores, count, scores, [factor](Vector s, Vector) HWY_ATTR { return hn::Mul(s, factor); });
    const float inverse = 1.0F / exponentials(scores, count, largestOf(scores, count));

    int i = 0;
    for (; i + 8 * kLanes <= n; i += 8 * kLanes)
        weightedSum<8>(scores, values + i, stride, count, inverse, out + i);
    for (; i + kLanes <= n; i += kLanes)
        weightedSum<1>(scores, values + i, stride, count, inverse, out + i);
    for (; i < n; ++i) {
        float sum = 0;
        for (int j = 0; j < count; ++j)
            sum += scores[j] * values[static_cast<std::size_t>(j) * stride + i];
        out[i] = sum * inverse;
    }
}

void siluMultiply(const float* gate, const float* up, int n, float* out) {
    mapPairs(gate, up, n, out, [](Vector g, Vector u) HWY_ATTR {
        // By e^-|g|, which cannot overflow: 1 / (1 + e) above zero, e / (1 + e) below.
        const Vector one = hn::Set(Floats(), 1.0F);
        const Vector e = exponential(hn::Neg(hn::Abs(g)));
        const Vector numerator = hn::IfThenElse(hn::Lt(g, hn::Zero(Floats())), e, one);
        return hn::Mul(hn::Mul(g, hn::Div(numerator, hn::Add(one, e))), u);
    });
}

void addScaled(float a, const float* x, int n, float* y) {
    const Vector factor = hn::Set(Floats(), a);
    mapPairs(x, y, n, y, [factor](Vector v, Vector sum) HWY_ATTR { return hn::MulAdd(factor, v, sum); });
}

float norm(const float* x, int n) {
    const float squares = sumOfSquares(x, n);
    // Squares that left the range of float32, or may have lost parts below it.
    if (!(squares > 1e-30F && squares < 1e38F)) return Kernels::reference().norm(x, n);
    return std::sqrt(squares);
}

float softmax(float* x, int n) {
    const float largest = largestOf(x, n);
    const float sum = exponentials(x, n, largest);
    const Vector factor = hn::Set(Floats(), 1.0F / sum);
    mapPairs(x, x, n, x, [factor](Vector e, Vector) HWY_ATTR { return hn::Mul(e, factor); });
    return largest + std::log(sum);
}

/// Calls each(place, vector) for vectors that cover x [n ≥ kLanes], the last of which may overlap, until it says true.
template <class Each>
HWY_INLINE void eachVector(const float* x, int n, Each&& each) {
    for (int i = 0; i + kLanes <= n; i += kLanes)
        if (each(i, hn::LoadU(Floats(), x + i))) return;
    if (n % kLanes != 0) each(n - kLanes, hn::LoadU(Floats(), x + n - kLanes));
}

int largest(float* x, int n, int k, int* out) {
    const Floats d;
    if (n < kLanes) return Kernels::reference().largest(x, n, k, out);
    for (int found = 0; found < k; ++found) {
        Vector best = hn::Set(d, -std::numeric_limits<float>::infinity());
        eachVector(x, n, [&](int, Vector v) HWY_ATTR {
            best = hn::IfThenElse(hn::Gt(v, best), v, best);
            return false;
        });
        best = hn::MaxOfLanes(d, best);
        int place = -1;
        eachVector(x, n, [&](int at, Vector v) HWY_ATTR {
            const auto lane = hn::FindFirstTrue(d, hn::Eq(v, best));
            if (lane >= 0) place = at + static_cast<int>(lane);
            return lane >= 0;
        });
        if (place < 0) return found;
        out[found] = place;
        x[place] = std::numeric_limits<float>::quiet_NaN();
    }
    return k;
}

#endif
}  // namespace expertscope::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace expertscope {
namespace {

HWY_EXPORT(matmul);
HWY_EXPORT(rmsNorm);
HWY_EXPORT(rope);
HWY_EXPORT(attend);
HWY_EXPORT(siluMultiply);
HWY_EXPORT(addScaled);
HWY_EXPORT(norm);
HWY_EXPORT(softmax);
HWY_EXPORT(largest);

class VectorisedKernels final : public Kernels {
public:
    void matmul(const MatrixView& w, const float* x, int tokens, int rowBegin, int rowEnd, float* y) const override {
        HWY_DYNAMIC_DISPATCH(matmul)(w, x, tokens, rowBegin, rowEnd, y);
    }
    void rmsNorm(const float* x, const float* weight, float eps, int n, float* out) const override {
        HWY_DYNAMIC_DISPATCH(rmsNorm)(x, weight, eps, n, out);
    }
    void rope(float* head, const float* cosines, const float* sines, int n) const override {
        HWY_DYNAMIC_DISPATCH(rope)(head, cosines, sines, n);
    }
    void attend(const float* query, const float* keys, const float* values, std::size_t stride, int count, int n,
                float scale, float* scores, float* out) const override {
        HWY_DYNAMIC_DISPATCH(attend)(query, keys, values, stride, count, n, scale, scores, out);
    }
    void siluMultiply(const float* gate, const float* up, int n, float* out) const override {
        HWY_DYNAMIC_DISPATCH(siluMultiply)(gate, up, n, out);
    }
    void addScaled(float a, const float* x, int n, float* y) const override {
        HWY_DYNAMIC_DISPATCH(addScaled)(a, x, n, y);
    }
    float norm(const float* x, int n) const override { return HWY_DYNAMIC_DISPATCH(norm)(x, n); }
    float softmax(float* x, int n) const override { return HWY_DYNAMIC_DISPATCH(softmax)(x, n); }
    int largest(float* x, int n, int k, int* out) const override { return HWY_DYNAMIC_DISPATCH(largest)(x, n, k, out); }
};

}  // namespace

const Kernels& Kernels::vectorised() {
    static const VectorisedKernels kernels;
    return kernels;
}

}  // namespace expertscope
#endif
