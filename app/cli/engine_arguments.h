// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>
#include <vector>

#include "engine/inference/engine.h"

namespace CLI {
class App;
}

namespace expertscope {

/// The options that say how a model is run, as `run` and `perplexity` share them; lists as they were written.
struct EngineArguments {
    std::string policies = "resident";
    std::string evictions = "lru";
    std::string budgets = "100%";
    std::string device = "cpu";
    std::string io = "direct";
    std::string link;
    std::string prepared;  ///< a file of PreparedData
    int threads = 0;
    bool reference = false;
    bool budgetGiven = false;

    void addTo(CLI::App& command);
};

/// One combination of policy, eviction and budget; with the budget as it was written, for the command that repeats it.
struct EngineVariant {
    EngineOptions options;
    std::string budgetText;
};

/// Every combination of the lists, policies outermost. Throws UsageError for names and parameters that do not exist
/// (naming those that do), for what only replay can run, and for sizes and links that are none; FailedError for a
/// device that this build lacks.
std::vector<EngineVariant> engineVariants(const EngineArguments& arguments);

/// Throws UsageError for the first combination that the model cannot run under (a budget below one expert, a policy
/// whose needs it lacks), so that none fails after others have run for hours.
void checkVariants(const std::vector<EngineVariant>& variants, const Checkpoint& checkpoint);

/// The items of a comma-separated list. Throws UsageError naming `option` when there is none, or an empty one.
std::vector<std::string> splitList(const std::string& text, const std::string& option);

}  // namespace expertscope
