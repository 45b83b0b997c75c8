// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "engine/base/run_facts.h"

namespace expertscope {

/// Whether our engine made the run, so that it had a policy, a budget and slots; else it is what another tool told.
inline bool madeByEngine(const RunDescription& run) { return run.policy != "imported" && run.policy != "recorded"; }

}  // namespace expertscope
