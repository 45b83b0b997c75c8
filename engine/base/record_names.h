// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

// The words for the enumerators of records.h and run_facts.h, as SQL rows, CSV, JSON and the views show them. Lower
// case, words joined by hyphens ("in-flight"); stable, because scripts compare with them. A value outside an
// enumeration (from a damaged file) is "unknown".

#include <string_view>

#include "engine/base/run_facts.h"

namespace expertscope {

std::string_view name(Phase value);
std::string_view name(SpanKind value);
std::string_view name(LaneRole value);
std::string_view name(Outcome value);
std::string_view name(SelectionAction value);
std::string_view name(ResidencyChange value);
std::string_view name(ResidencyReason value);
std::string_view name(TransferPurpose value);
std::string_view name(TransferFate value);
std::string_view name(PredictorKind value);
std::string_view name(Severity value);
std::string_view name(RunState value);

}  // namespace expertscope
