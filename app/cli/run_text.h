// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>
#include <vector>

#include "app/cli/run_job.h"

namespace expertscope {

/// What a run made and measured, for a person.
std::string runText(const RunOutcome& outcome, const std::vector<GenerationRequest>& requests);

}  // namespace expertscope
