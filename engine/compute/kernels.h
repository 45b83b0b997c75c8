// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/model/tensor_source.h"

namespace expertscope {

/// A weight matrix as it lies in the file: [rows, cols], row-major, contiguous; y = W x maps cols to rows.
struct MatrixView {
    const std::byte* data = nullptr;
    ElementType type = ElementType::F32;
    int rows = 0;
    int cols = 0;
};

/// The CPU's numeric kernels, serial: who calls them splits the work. Activations are float32. A row's bits depend on
/// that row alone: not on how many tokens or rows a call has, nor on how calls are split over threads.
class Kernels {
public:
    virtual ~Kernels() = default;

    /// y[t, r] = Σ_c w[r, c] · x[t, c] for r in [rowBegin, rowEnd). x [tokens, cols], y [tokens, rows].
    virtual void matmul(const MatrixView& w, const float* x, int tokens, int rowBegin, int rowEnd, float* y) const = 0;
    /// out[i] = x[i] · rsqrt(mean(x²) + eps) · weight[i], statistics in float32. out may be x.
    virtual void rmsNorm(const float* x, const float* weight, float eps, int n, float* out) const = 0;
    /// Rotates the pairs (i, i + n/2) of one head in place; cosines and sines [n/2] of its position.
    virtual void rope(float* head, const float* cosines, const float* sines, int n) const = 0;
    /// One query head over a context: out = softmax(scale · q·kᵗ) v. keys and values: row j at base + j · stride,
    /// count rows of n floats; scores is scratch of count floats.
    virtual void attend(const float* query, const float* keys, const float* values, std::size_t stride, int count,
                        int n, float scale, float* scores, float* out) const = 0;
    /// out[i] = silu(gate[i]) · up[i]. out may be gate.
    virtual void siluMultiply(const float* gate, const float* up, int n, float* out) const = 0;
    /// y += a · x.
    virtual void addScaled(float a, const float* x, int n, float* y) const = 0;
    /// L2 norm of x.
    virtual float norm(const float* x, int n) const = 0;
    /// In place; returns log Σ exp(x) of the input.
    virtual float softmax(float* x, int n) const = 0;

    /// out[0..k): the places of the k largest of x by falling value, of equals the lower first. What was found is
    /// written over by NaN, so that a second call goes on. Returns how many there are: fewer than k where the rest of x
    /// is NaN.
    virtual int largest(float* x, int n, int k, int* out) const = 0;

    /// Highway, run-time dispatch to the best instruction set.
    static const Kernels& vectorised();
    /// Plain loops in order, for `--reference`.
    static const Kernels& reference();
};

}  // namespace expertscope
