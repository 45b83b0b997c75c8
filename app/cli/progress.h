// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "engine/base/run_facts.h"

namespace expertscope {

/// How far one run is.
struct ProgressState {
    int run = 0, runs = 0;  ///< this run, from 1, of so many
    std::string policy;
    std::int64_t generated = 0, planned = 0;  ///< tokens
    double tokensPerSecond = 0;               ///< over the tokens of this run so far
    int request = 0;                          ///< from 0
    std::string label;                        ///< of the request
};

/// Tells a person or a program on standard error how a `run` command goes. Called from the compute thread.
class Progress {
public:
    virtual ~Progress() = default;
    virtual void runStarted(const ProgressState&, const RunDescription&, RunId) {}
    virtual void advanced(const ProgressState&) {}  ///< about 10 times a second
    virtual void runEnded(const ProgressState&, const RunSummary&) {}
    virtual void failed(const std::string& /*sentence*/) {}
};

/// `bar`, `json` or `none`. Throws UsageError for anything else.
std::unique_ptr<Progress> makeProgress(const std::string& kind);

}  // namespace expertscope
