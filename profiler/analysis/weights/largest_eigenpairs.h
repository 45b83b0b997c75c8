// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <vector>

namespace expertscope {

/// An eigenvalue and its vector of length 1.
struct Eigenpair {
    double value = 0;
    std::vector<double> vector;  ///< [n]
};

/// The `count` largest eigenvalues of a symmetric positive semidefinite operator on vectors of n numbers, descending
/// (fewer where n is smaller); a vector's largest component in magnitude is positive.
///
/// apply(x, y) sets y = A x. Plain equivalent: the end of the eigenvalues of the whole matrix. Lanczos with full
/// reorthogonalisation: m steps cost m applications and O(m²·n), m being some tens where the largest eigenvalues stand
/// out and seldom over 200; it ends when every residual |A v − λ v| is at most `tolerance` · λ₁, and after n steps in
/// any case. Source: Golub and Van Loan, Matrix Computations, ch. 10. The same input gives the same bits.
std::vector<Eigenpair> largestEigenpairs(
    std::size_t n, std::size_t count, double tolerance,
    const std::function<void(std::span<const double> x, std::span<double> y)>& apply);

}  // namespace expertscope
