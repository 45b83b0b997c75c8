// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>
#include <vector>

#include "app/cli/output.h"
#include "profiler/replay/replay.h"

namespace expertscope {

/// One recorded run and what was simulated over it.
struct ReplayedTrace {
    std::string session;
    const ReplayBench* bench = nullptr;
    Settle settle = Settle::Admit;
    std::vector<ReplayResult> results;
    std::vector<ReplayBound> bounds;
};

/// The JSON object of `replay --json`.
Json replayJson(const std::vector<ReplayedTrace>& traces);
/// The same as tables for a terminal.
std::string replayText(const ReplayedTrace& trace);

}  // namespace expertscope
