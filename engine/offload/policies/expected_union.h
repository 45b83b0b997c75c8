// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <algorithm>
#include <vector>

#include "engine/offload/policy.h"

namespace expertscope {

/// Collects what a predictor expects of a layer for all tokens of a step: each expert once, in order of first mention
/// (token, then rank), with the score of that mention.
class ExpectedUnion {
public:
    /// Appends the best `perToken` experts of each token; all that the prediction has where it is narrower.
    void append(const Prediction& expected, LayerIndex target, int perToken, std::vector<WantedExpert>& wanted) {
        std::fill(m_seen.begin(), m_seen.end(), false);
        for (std::size_t i = 0; i < expected.experts.size(); ++i) {
            if (static_cast<int>(i) % expected.width >= perToken) continue;
            const ExpertId expert = expected.experts[i];
            if (m_seen.size() <= expert.index()) m_seen.resize(expert.index() + 1, false);
            if (m_seen[expert.index()]) continue;
            m_seen[expert.index()] = true;
            wanted.push_back({{target, expert}, expected.scores[i]});
        }
    }

private:
    std::vector<bool> m_seen;  ///< [experts]
};

}  // namespace expertscope
