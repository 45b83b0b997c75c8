// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <memory>
#include <vector>

#include "profiler/analysis/run_trace.h"
#include "scratch_session.h"

namespace expertscope {

/// Two runs of one session: on-demand without prefetches, pre-gated with.
struct TwoRuns {
    TwoRuns() : session(ScratchSession::Empty{}) {
        writeSimulatedRun(session.writer(), {.policy = "on-demand", .prefetch = false});
        writeSimulatedRun(session.writer(), {.policy = "pre-gated"});
        reader = std::make_unique<SessionReader>(session.file().toStdString());
        for (const RunEntry& run : reader->runs()) {
            traces.push_back(std::make_unique<RunTrace>(*reader, run.id));
            while (traces.back()->refresh()) {}
        }
    }
    ScratchSession session;
    std::unique_ptr<SessionReader> reader;
    std::vector<std::unique_ptr<RunTrace>> traces;
};

}  // namespace expertscope
