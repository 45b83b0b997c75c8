// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "engine/compute/kernels.h"

namespace expertscope {
namespace {

template <class T>
T readUnaligned(const std::byte* at) {
    T value;
    std::memcpy(&value, at, sizeof(T));
    return value;
}

float halfToFloat(std::uint16_t half) {
    const int exponent = (half >> 10) & 31;
    const int fraction = half & 1023;
    float magnitude;
    if (exponent == 31) {
        magnitude = fraction == 0 ? HUGE_VALF : NAN;
    } else if (exponent == 0) {
        magnitude = std::ldexp(static_cast<float>(fraction), -24);
    } else {
        magnitude = std::ldexp(static_cast<float>(1024 + fraction), exponent - 25);
    }
    return (half & 0x8000) != 0 ? -magnitude : magnitude;
}

float element(const MatrixView& w, std::size_t index) {
    switch (w.type) {
        case ElementType::F32:
            return readUnaligned<float>(w.data + index * 4);
        case ElementType::F16:
            return halfToFloat(readUnaligned<std::uint16_t>(w.data + index * 2));
        case ElementType::BF16:
            return std::bit_cast<float>(std::uint32_t{readUnaligned<std::uint16_t>(w.data + index * 2)} << 16);
        case ElementType::Other:
            break;
    }
    return NAN;
}

double sumOfSquares(const float* x, int n) {
    double sum = 0;
    for (int i = 0; i < n; ++i)
        sum += static_cast<double>(x[i]) * static_cast<double>(x[i]);
    return sum;
}

/// Sums are kept in float64, so that what this gives is the exact result but for the last roundings.
class ReferenceKernels final : public Kernels {
public:
    void matmul(const MatrixView& w, const float* x, int tokens, int rowBegin, int rowEnd, float* y) const override {
        const auto cols = static_cast<std::size_t>(w.cols);
        for (int t = 0; t < tokens; ++t) {
            for (int r = rowBegin; r < rowEnd; ++r) {
                double sum = 0;
                for (std::size_t c = 0; c < cols; ++c) {
                    sum += static_cast<double>(element(w, r * cols + c)) * static_cast<double>(x[t * cols + c]);
                }
                y[static_cast<std::size_t>(t) * w.rows + r] = static_cast<float>(sum);
            }
        }
    }

    void rmsNorm(const float* x, const float* weight, float eps, int n, float* out) const override {
        const float mean = static_cast<float>(sumOfSquares(x, n) / n);
        const float factor = 1.0F / std::sqrt(mean + eps);
        for (int i = 0; i < n; ++i)
            out[i] = x[i] * factor * weight[i];
    }

    void rope(float* head, const float* cosines, const float* sines, int n) const override {
        const int half = n / 2;
        for (int i = 0; i < half; ++i) {
            const float a = head[i];
            const float b = head[i + half];
            head[i] = a * cosines[i] - b * sines[i];
            head[i + half] = b * cosines[i] + a * sines[i];
        }
    }

    void attend(const float* query, const float* keys, const float* values, std::size_t stride, int count, int n,
                float scale, float* scores, float* out) const override {
        for (int j = 0; j < count; ++j) {
            double sum = 0;
            for (int i = 0; i < n; ++i)
                sum += static_cast<double>(query[i]) * static_cast<double>(keys[j * stride + i]);
            scores[j] = static_cast<float>(sum) * scale;
        }
        softmax(scores, count);
        for (int i = 0; i < n; ++i) {
            double sum = 0;
            for (int j = 0; j < count; ++j) {
                sum += static_cast<double>(scores[j]) * static_cast<double>(values[j * stride + i]);
            }
            out[i] = static_cast<float>(sum);
        }
    }

    void siluMultiply(const float* gate, const float* up, int n, float* out) const override {
        for (int i = 0; i < n; ++i) {
            const double g = static_cast<double>(gate[i]);
            out[i] = static_cast<float>(g / (1.0 + std::exp(-g))) * up[i];
        }
    }

    void addScaled(float a, const float* x, int n, float* y) const override {
        for (int i = 0; i < n; ++i)
            y[i] += a * x[i];
    }

    float norm(const float* x, int n) const override { return static_cast<float>(std::sqrt(sumOfSquares(x, n))); }

    float softmax(float* x, int n) const override {
        const double largest = static_cast<double>(*std::max_element(x, x + n));
        double sum = 0;
        for (int i = 0; i < n; ++i)
            sum += std::exp(static_cast<double>(x[i]) - largest);
        for (int i = 0; i < n; ++i)
            x[i] = static_cast<float>(std::exp(static_cast<double>(x[i]) - largest) / sum);
        return static_cast<float>(largest + std::log(sum));
    }

    int largest(float* x, int n, int k, int* out) const override {
        for (int found = 0; found < k; ++found) {
            int place = -1;
            for (int i = 0; i < n; ++i)
                if (place < 0 ? !std::isnan(x[i]) : x[i] > x[place]) place = i;
            if (place < 0) return found;
            out[found] = place;
            x[place] = NAN;
        }
        return k;
    }
};

}  // namespace

const Kernels& Kernels::reference() {
    static const ReferenceKernels kernels;
    return kernels;
}

}  // namespace expertscope
