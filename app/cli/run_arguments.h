// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "app/cli/engine_arguments.h"
#include "app/cli/model_argument.h"
#include "engine/inference/engine.h"

namespace expertscope {

/// The options of `run` as they were written.
struct RunArguments {
    EngineArguments engine;
    std::string model;
    std::string prompt, promptFile, promptIds;
    bool promptGiven = false;
    int tokens = 64;
    SamplingOptions sampling;
    bool stopAtEos = false;
    bool raw = false;
    std::string record = "routing,spans,norms,predictions";
    bool fidelity = false;
    int repeat = 1;
    std::string logits;
    std::string progress = "bar";
    std::string out;
    bool json = false;

    void addTo(CLI::App& command);
    /// Throws UsageError for what contradicts itself or lies outside its range.
    void check() const;
};

/// What --record asks for, but for a deep capture (deep_argument.h), which needs routing. Throws UsageError naming what
/// can be recorded.
RecordSet parseRecordSet(const std::string& list);

/// The requests of a run, in order. Throws BadInputError for prompts that the model cannot take (too long, ids outside
/// its vocabulary, text without a tokenizer), before anything runs.
std::vector<GenerationRequest> makeRequests(const RunArguments& arguments, const LoadedModel& model);

/// The command line that repeats one combination.
std::string repeatCommand(const RunArguments& arguments, const EngineVariant& variant);

}  // namespace expertscope
