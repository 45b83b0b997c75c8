// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <vector>

#include "app/cli/output.h"
#include "app/cli/run_job.h"
#include "engine/base/run_facts.h"

namespace expertscope {

/// The model's facts as the summary has them: name, family, layers, experts, top_k, expert_bytes, total_expert_bytes.
Json modelJson(const ModelFacts& facts);

/// A link as written, or null for transfers that were not paced.
Json linkJson(const RunDescription& description);

/// What a run measured, keys `prefill_tokens_per_s` to `recording`; the same words in `run` and `info`.
Json measuresJson(const RunSummary& summary);

/// Means with 95 % intervals (Student's t, null for one run) over the runs of one combination, as `repeats` of the
/// summary has them: decode speed, time to the first token, quantiles of the time of a token.
Json repeatsJson(const std::vector<RunOutcome>& outcomes);

/// One object of `runs` in the JSON summary of `run`.
Json runJson(const RunOutcome& outcome, const std::vector<GenerationRequest>& requests);

}  // namespace expertscope
