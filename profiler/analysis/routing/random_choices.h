// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cmath>
#include <cstdint>
#include <numbers>
#include <span>
#include <utility>

namespace expertscope {

/// Random numbers that are the same on every machine and with every library, for the random baselines of the analyses.
/// SplitMix64 (Steele, Lea, Flood 2014), period 2⁶⁴.
class RandomChoices {
public:
    explicit RandomChoices(std::uint64_t seed) : m_state(seed) {}

    std::uint64_t next() {
        std::uint64_t z = (m_state += 0x9E3779B97F4A7C15U);
        z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9U;
        z = (z ^ (z >> 27U)) * 0x94D049BB133111EBU;
        return z ^ (z >> 31U);
    }
    /// 0 … bound − 1, by multiplication (its bias, bound / 2³², is far below what a baseline shows).
    std::uint32_t below(std::uint32_t bound) {
        return static_cast<std::uint32_t>(((next() >> 32U) * static_cast<std::uint64_t>(bound)) >> 32U);
    }
    /// 0 < x ≤ 1.
    double uniform() { return (static_cast<double>(next() >> 11U) + 1.0) * 0x1p-53; }
    /// Standard normal, by Box and Muller.
    double normal() {
        const double length = uniform();  // in this order with every compiler
        return std::sqrt(-2.0 * std::log(length)) * std::cos(2.0 * std::numbers::pi * uniform());
    }

    /// Fills `chosen` with different numbers below `bound` (at least as many as chosen): Floyd's way, O(k²).
    void distinct(std::span<std::int32_t> chosen, std::int32_t bound) {
        const auto k = static_cast<std::int32_t>(chosen.size());
        for (std::int32_t i = 0; i < k; ++i) {
            const std::int32_t last = bound - k + i;
            auto pick = static_cast<std::int32_t>(below(static_cast<std::uint32_t>(last + 1)));
            for (std::int32_t j = 0; j < i; ++j) {
                if (chosen[static_cast<std::size_t>(j)] != pick) continue;
                pick = last;
                break;
            }
            chosen[static_cast<std::size_t>(i)] = pick;
        }
    }
    /// Fisher and Yates.
    template <class T>
    void shuffle(std::span<T> values) {
        for (std::size_t i = values.size(); i > 1; --i)
            std::swap(values[i - 1], values[below(static_cast<std::uint32_t>(i))]);
    }

private:
    std::uint64_t m_state;
};

}  // namespace expertscope
