// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "engine/base/ids.h"

namespace expertscope {

/// How often an expert was chosen in one step, where the tool that recorded it told nothing finer: no tokens, no order
/// and no weights.
struct ExpertCount {
    StepIndex step;  ///< as the tool counted its steps; 0 where it told one sum for all
    LayerIndex layer;
    ExpertId expert;
    std::int64_t count = 0;
    bool operator==(const ExpertCount&) const = default;
};

/// Keeps the counts of a run (table `expert_count`), in one transaction. Throws FailedError when the session cannot be
/// written, BadInputError where the file is none.
void writeExpertCounts(const std::filesystem::path& session, RunId run, std::span<const ExpertCount> counts);
/// The counts of a run in order of step, layer and expert; empty where it has none. Throws BadInputError.
std::vector<ExpertCount> readExpertCounts(const std::filesystem::path& session, RunId run);
/// The same over all steps: one count a layer and expert, of step -1.
std::vector<ExpertCount> readExpertSums(const std::filesystem::path& session, RunId run);

}  // namespace expertscope
