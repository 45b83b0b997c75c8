// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/base/run_facts.h"
#include "engine/offload/prepared_data.h"
#include "profiler/analysis/trace_view.h"
#include "storage/session_reader.h"

namespace expertscope {

// Tables of PreparedData that are counted in a recorded run: one function a table. A choice that was dropped counts
// nowhere, a substituted one as the expert that ran.

/// [L, E] choices of each expert. O(selections).
PreparedTable countPopularity(const TraceView& trace, const ModelFacts& model);

/// [L, E, E] tokens for which a layer chose both experts; symmetric, 0 on the diagonal. O(selections · k).
PreparedTable countCoActivation(const TraceView& trace, const ModelFacts& model);

/// [n, L, E] tokens that chose each expert: one matrix of each request's prompt and one of what was generated for it,
/// in order; those without a choice are left out. O(selections + n · L · E).
PreparedTable countActivations(const TraceView& trace, const ModelFacts& model);

/// A calibration pass is a run of its own, whose group is that of the runs it was made for and this.
inline constexpr const char* kCalibrationSuffix = "-calibration";

/// What the calibration pass before `run` collected for its policy, counted again from their session; empty where there
/// was none. A replay of the run starts from it.
PreparedData calibratedTables(const SessionReader& reader, const RunDescription& run);

/// Whether collectTable() knows the table.
bool isCollected(std::string_view table);
std::vector<std::string> collectedTables();

/// Adds a run's counts of one of collectedTables() to `data`, unless they are in it (PreparedData::hasSource); false
/// then. `data` is of the run's model. A run is told by its command and number, whatever the session file is called.
bool collectTable(std::string_view table, const TraceView& trace, const RunDescription& run, RunId id,
                  PreparedData& data);

}  // namespace expertscope
