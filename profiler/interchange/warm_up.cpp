// SPDX-License-Identifier: GPL-3.0-or-later
#include "profiler/interchange/warm_up.h"

#include <bit>

namespace expertscope {
namespace {

/// The finaliser of SplitMix64: every bit of the input reaches every bit of the output.
std::uint64_t mixed(std::uint64_t x) {
    x += 0x9e3779b97f4a7c15U;
    x = (x ^ (x >> 30U)) * 0xbf58476d1ce4e5b9U;
    x = (x ^ (x >> 27U)) * 0x94d049bb133111ebU;
    return x ^ (x >> 31U);
}

}  // namespace

void WarmUpFinder::add(std::uint64_t signature) {
    if (m_tokens > 0 && signature != m_signature) endRun();
    m_signature = signature;
    ++m_tokens;
}

void WarmUpFinder::endRun() {
    if (m_tokens - m_runStart >= kShortestRun) m_runs.push_back({m_runStart, m_tokens});
    m_runStart = m_tokens;
}

const std::vector<TokenInterval>& WarmUpFinder::finish() {
    endRun();
    return m_runs;
}

void RoutingSignature::add(std::int32_t layer, std::int32_t expert, float weight) {
    const auto place = static_cast<std::uint64_t>(static_cast<std::uint32_t>(layer)) << 32U;
    const std::uint64_t choice = mixed(place | static_cast<std::uint32_t>(expert));
    // A sum does not depend on the order in which the rows of a token come.
    m_sum += mixed(choice ^ std::bit_cast<std::uint32_t>(weight));
}

}  // namespace expertscope
