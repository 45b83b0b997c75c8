// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>
#include <vector>

#include "profiler/interchange/imported_run.h"

namespace expertscope {

/// What the rows of a file show of the model.
struct ModelCounts {
    std::int32_t layers = 0, experts = 0, topK = 0;
};

/// What the file says of the model, with what the user says and what was counted; what had to be assumed goes into
/// `notes`. Throws UsageError where the user tells less than the file holds.
ModelFacts completeModel(ModelFacts model, const ModelCounts& found, const ImportOptions& options,
                         std::vector<std::string>& notes);

}  // namespace expertscope
