// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "app/cli/run_arguments.h"
#include "app/cli/run_job.h"
#include "engine/offload/prepared_data.h"

namespace expertscope {

/// What came of a calibration pass.
struct Calibration {
    std::shared_ptr<const PreparedData> prepared;  ///< with what was given by --prepared
    std::vector<std::string> tables;               ///< that were missing
    RunId run;                                     ///< in the session; 0 where nothing was recorded
    std::size_t requests = 0;
    std::int64_t tokens = 0;  ///< prompts and generated

    /// For the user and the session.
    std::string sentence() const;
};

/// The tables that some of the variants cannot run without and were not given.
std::vector<std::string> missingTables(const std::vector<EngineVariant>& variants);

/// Collects missing tables by running the bundled prompts under an exact policy: a run of its own, whose requests have
/// the label `calibration`, in the session that `openSession` gives, or in none. What has to be fitted to the model is
/// fitted to its continuations of these prompts. Says on standard error what it does. Throws BadInputError where the
/// model has no tokenizer for the prompts.
Calibration calibrate(const RunContext& context, const RunArguments& arguments,
                      const std::vector<EngineVariant>& variants, const OpenSession& openSession);

}  // namespace expertscope
