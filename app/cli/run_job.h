// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "app/cli/engine_arguments.h"
#include "app/cli/logits_spool.h"
#include "app/cli/model_argument.h"
#include "app/cli/npy_writer.h"
#include "app/cli/progress.h"
#include "app/cli/stop_signal.h"
#include "engine/inference/engine.h"
#include "storage/session_writer.h"

namespace expertscope {

/// What a run command has in common for all its runs.
struct RunContext {
    const LoadedModel& model;
    const ModelFacts& facts;
    const std::vector<GenerationRequest>& requests;
    RecordSet record;
    bool fidelity = false;
    std::string group;
    std::string machineJson;
    Progress& progress;
    StopSignal& stop;
    int runs = 1;
    std::optional<DeepCaptureOptions> deep{};  ///< where a session is recorded
    std::filesystem::path session{};           ///< that is recorded into; empty where none is
};

/// One run to make: a combination, and where its results go.
struct RunPlan {
    EngineVariant variant;
    std::string command;
    int number = 1;                ///< from 1, of RunContext::runs
    int repeat = 0;                ///< from 0
    std::filesystem::path logits;  ///< empty: not written
    std::string calibrated{};      ///< how its policy's tables came about, for the session; empty: they were given
};

/// What came of a run.
struct RunOutcome {
    RunId id;  ///< 0 where nothing was recorded
    RunDescription description;
    RunSummary summary;
    std::vector<GenerationResult> results;  ///< one a request that was started
    RunState state = RunState::Complete;
};

/// Gives the session to record into once the run is known to be possible; null when nothing is to be recorded.
using OpenSession = std::function<SessionWriter*()>;

/// Tokens that requests make if nothing stops them: a context of C positions has room for C − P + 1, because the last
/// one is chosen but never run.
std::int32_t plannedTokens(const std::vector<GenerationRequest>& requests, std::int32_t context);

/// Makes one run: builds the engine, records what it tells, and closes the run in the session whatever happens. Throws
/// what the engine or the recorder throws; the run's state in the session is then Failed.
RunOutcome makeRun(const RunContext& context, const RunPlan& plan, const OpenSession& openSession);

}  // namespace expertscope
