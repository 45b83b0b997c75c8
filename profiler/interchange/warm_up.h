// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <vector>

namespace expertscope {

/// Tokens [first, last) in the order of a file.
struct TokenInterval {
    std::int64_t first = 0;
    std::int64_t last = 0;
    bool operator==(const TokenInterval&) const = default;
};

/// Finds the dummy tokens by which serving engines warm up: long runs of tokens whose whole routing (layers, experts,
/// weights) is the same.
///
/// Plain equivalent: compare each token's rows with those of the token before it, and keep the runs of at least
/// kShortestRun. Real text gives runs of length 1 where several layers or the weights are known; even with one top-1 of
/// eight layers and no weights, 16 in a row have a chance below 1e-8. Time O(1) a token, memory O(runs found).
class WarmUpFinder {
public:
    static constexpr std::int64_t kShortestRun = 16;

    /// The next token; equal signatures mean equal routing.
    void add(std::uint64_t signature);
    /// The runs found, in order. Call after the last token.
    const std::vector<TokenInterval>& finish();

private:
    void endRun();

    std::vector<TokenInterval> m_runs;
    std::uint64_t m_signature = 0;
    std::int64_t m_runStart = 0;
    std::int64_t m_tokens = 0;
};

/// Collects a token's signature from its rows, whatever their order.
class RoutingSignature {
public:
    void add(std::int32_t layer, std::int32_t expert, float weight);
    std::uint64_t value() const { return m_sum; }

private:
    std::uint64_t m_sum = 0;
};

}  // namespace expertscope
