// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "engine/base/run_facts.h"

namespace expertscope {

/// How far an import is.
struct ImportProgress {
    enum class Stage { Reading, Writing };
    Stage stage = Stage::Reading;
    std::int64_t rows = 0;  ///< of the file, or events of it, that were taken in this stage
    double share = -1;      ///< of the stage, 0…1; below 0: not known
};

/// What the user says of a file that the file does not say itself; 0 or empty: nothing.
struct ImportOptions {
    bool keepWarmUp = false;  ///< also the tokens that look like an engine's warm-up
    std::int32_t layers = 0;
    std::int32_t experts = 0;
    std::int32_t topK = 0;
    Bytes expertBytes{};  ///< of one expert
    std::string modelName{};
    /// Told some times a second. What it throws ends the import and is thrown on by it.
    std::function<void(const ImportProgress&)> progress{};
};

/// What an import brought.
struct ImportedRun {
    RunId run;
    ModelFacts model;
    RunSummary summary;
    std::int64_t rows = 0;            ///< rows of the file that became selections, spans or counts
    std::int64_t steps = 0;           ///< forward steps
    std::int64_t dropped = 0;         ///< rows that the tool itself had marked as left out
    std::int64_t excludedRows = 0;    ///< rows of warm-up that were left out
    std::int64_t excludedTokens = 0;  ///< tokens of them
    std::vector<std::string> notes;   ///< what the file does not hold, and what was made of it; a sentence each
};

/// "128 rows excluded: 16 tokens that look like an engine's warm-up"; empty where none were.
std::string excludedText(const ImportedRun& imported);

}  // namespace expertscope
