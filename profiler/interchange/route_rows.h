// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "engine/base/run_facts.h"

namespace expertscope {

/// One expert that one layer chose for one token, as another tool told it: what every importer of routing gives.
struct RouteRow {
    std::int64_t line = 0;  ///< in the file, counted as the format counts (lines, rows or records)
    std::int32_t turn = 0;  ///< request of the token, from 0, never falling
    Phase phase = Phase::Prefill;
    std::int32_t position = 0;  ///< of the token in its turn
    LayerIndex layer;
    std::int32_t slot = 0;  ///< rank in the token's choice; -1: not told, then by weight, else as the rows come
    ExpertId expert;
    float weight = std::numeric_limits<float>::quiet_NaN();  ///< NaN where the tool did not know it
    std::int32_t residency = -1;                             ///< 0 miss, 1 hit, 2 hit of a prefetch; -1 not told
    Bytes moved;                                             ///< over the link for this row
    bool dropped = false;                                    ///< chosen and left out
    std::int32_t step = -1;                                  ///< forward step, where phase and position do not tell it
    std::int32_t tokenId = -1;                               ///< in the vocabulary; -1 not told
};

/// Gives the rows of a foreign file one by one, a forward step's rows together. Every fault is a BadInputError that
/// names the file and the place.
class RouteRowSource {
public:
    virtual ~RouteRowSource() = default;
    /// What the file says of the model so far; layers, experts and topK are 0 where it does not.
    virtual const ModelFacts& model() const = 0;
    /// The next row; false after the last.
    virtual bool next(RouteRow& row) = 0;
    /// Throws BadInputError: the file, `place` as in RouteRow::line, and what is wrong there.
    [[noreturn]] virtual void refuse(std::int64_t place, const std::string& what) const = 0;
    /// What the user must know of the file's way of telling; a sentence each. Complete after the last row.
    virtual std::vector<std::string> notes() const { return {}; }
};

}  // namespace expertscope
