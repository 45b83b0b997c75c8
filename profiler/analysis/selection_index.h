// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <vector>

#include "profiler/analysis/trace_view.h"

namespace expertscope {

/// Finds the selection of a (layer, token, slot) without a scan, and the tokens that each step ran. 4 bytes a
/// selection; an update costs O(new selections), a look-up O(1).
class SelectionIndex {
public:
    SelectionIndex(std::int32_t layers, std::int32_t topK);

    /// Takes in what `trace` has gained since; true when anything changed.
    bool update(const TraceView& trace);

    std::int32_t layers() const { return static_cast<std::int32_t>(m_at.size()); }
    std::int32_t topK() const { return m_topK; }
    /// One more than the last token that has a selection.
    std::int32_t tokens() const { return m_tokens; }
    /// Its place in the trace's selections; −1 where nothing was recorded.
    std::int64_t find(LayerIndex layer, TokenIndex token, std::int32_t slot) const;
    /// The step that ran the token; −1 where nothing was recorded.
    StepIndex stepOf(TokenIndex token) const;

private:
    std::int32_t m_topK;
    std::int32_t m_tokens = 0;
    std::size_t m_selectionsRead = 0;
    std::vector<std::vector<std::int32_t>> m_at;  ///< by layer, [token · topK + slot]
    std::vector<StepIndex> m_steps;               ///< by token
};

}  // namespace expertscope
