// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QString>
#include <span>

#include "engine/base/records.h"

namespace expertscope {

/// What the row of a lane of ranges is called. Recorded names are "python3 7 · main" for a thread and "python3 7 ·
/// main · 2" for the ranges inside its ranges: the program is left out where it is the only one, and a deeper row says
/// only how deep it is, since it stands below its thread's; a thread that is called as its program is "thread 9".
QString laneTitle(std::span<const LaneInfo> lanes, LaneId lane);

}  // namespace expertscope
