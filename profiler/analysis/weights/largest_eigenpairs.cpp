// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/analysis/weights/largest_eigenpairs.h"

#include <algorithm>
#include <cmath>
#include <random>

#include <Eigen/Dense>

namespace expertscope {
namespace {

using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;

/// The basis of a Krylov space and the operator in it, a tridiagonal matrix.
class Lanczos {
public:
    explicit Lanczos(Index n) : m_n(n), m_random(20240618) {}

    Index steps() const { return m_basis.cols(); }

    template <class Apply>
    void step(Apply&& apply) {
        const Index at = steps();
        const VectorXd vector = at == 0 ? freshDirection() : nextDirection();
        m_basis.conservativeResize(m_n, at + 1);
        m_basis.col(at) = vector;
        m_rest.resize(m_n);
        apply(std::span<const double>(vector.data(), static_cast<std::size_t>(m_n)),
              std::span<double>(m_rest.data(), static_cast<std::size_t>(m_n)));
        const double size = m_rest.norm();
        m_diagonal.push_back(vector.dot(m_rest));
        removeBasis(m_rest);
        const double left = m_rest.norm();
        m_scale = std::max(m_scale, size);
        m_ended = left <= 1e-13 * m_scale;
        m_beside.push_back(m_ended ? 0.0 : left);
    }

    /// Eigenvalues ascending and vectors of the tridiagonal matrix.
    Eigen::SelfAdjointEigenSolver<MatrixXd> solve() const {
        const Index count = steps();
        const VectorXd beside = Eigen::Map<const VectorXd>(m_beside.data(), count - 1);
        Eigen::SelfAdjointEigenSolver<MatrixXd> solver;
        solver.computeFromTridiagonal(Eigen::Map<const VectorXd>(m_diagonal.data(), count), beside);
        return solver;
    }
    /// The residual of a vector of solve().
    double residual(const VectorXd& vector) const { return std::abs(m_beside.back() * vector[steps() - 1]); }
    /// The space is invariant: its eigenvalues are exact, though a multiple one may be there once only.
    bool ended() const { return m_ended; }
    const MatrixXd& basis() const { return m_basis; }

private:
    void removeBasis(VectorXd& vector) const {
        for (int twice = 0; twice < 2; ++twice)
            vector -= m_basis * (m_basis.transpose() * vector);
    }

    VectorXd freshDirection() {
        VectorXd vector(m_n);
        std::generate(vector.begin(), vector.end(),
                      [this] { return static_cast<double>(m_random() >> 11) * 0x1p-52 - 1.0; });
        if (steps() > 0) removeBasis(vector);
        return vector.normalized();
    }

    VectorXd nextDirection() { return m_ended ? freshDirection() : VectorXd(m_rest / m_beside.back()); }

    Index m_n;
    std::mt19937_64 m_random;
    MatrixXd m_basis;
    VectorXd m_rest;
    std::vector<double> m_diagonal, m_beside;
    double m_scale = 0;
    bool m_ended = false;
};

Eigenpair pairOf(double value, VectorXd vector) {
    vector.normalize();
    Index largest = 0;
    vector.cwiseAbs().maxCoeff(&largest);
    if (vector[largest] < 0) vector = -vector;
    return {value, {vector.begin(), vector.end()}};
}

}  // namespace

std::vector<Eigenpair> largestEigenpairs(
    std::size_t n, std::size_t count, double tolerance,
    const std::function<void(std::span<const double> x, std::span<double> y)>& apply) {
    constexpr Index kStepsBetweenChecks = 8;
    const auto wanted = static_cast<Index>(std::min(n, count));
    Lanczos lanczos(static_cast<Index>(n));
    while (lanczos.steps() < static_cast<Index>(n)) {
        lanczos.step(apply);
        const Index steps = lanczos.steps();
        if (steps < wanted || (steps % kStepsBetweenChecks != 0 && steps < static_cast<Index>(n))) continue;
        const auto solver = lanczos.solve();
        const double allowed = tolerance * solver.eigenvalues()[steps - 1];
        bool converged = !lanczos.ended();
        for (Index i = 0; i < wanted; ++i)
            converged = converged && lanczos.residual(solver.eigenvectors().col(steps - 1 - i)) <= allowed;
        if (converged) break;
    }
    std::vector<Eigenpair> pairs;
    if (wanted == 0) return pairs;
    const auto solver = lanczos.solve();
    for (Index i = 0; i < wanted; ++i) {
        const Index at = lanczos.steps() - 1 - i;
        pairs.push_back(pairOf(solver.eigenvalues()[at], lanczos.basis() * solver.eigenvectors().col(at)));
    }
    return pairs;
}

}  // namespace expertscope
