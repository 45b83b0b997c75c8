// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/offload/evictions/evictions.h"

// Rules that know the future: a replay makes them itself, from the recorded routing (profiler/replay). They are listed
// here, so that they have their places beside the others.

namespace expertscope {

EvictionEntry beladyEviction() {
    return {{.name = "belady",
             .summary = "The expert whose next use lies furthest ahead leaves: for experts of equal size no rule that "
                        "admits every miss misses less.",
             .source = "Belady 1966",
             .replayOnly = true},
            nullptr};
}

EvictionEntry beladyBypassEviction() {
    return {{.name = "belady-bypass",
             .summary = "As belady, but an expert whose own next use lies furthest ahead is not kept.",
             .source = "Belady 1966, with bypass",
             .replayOnly = true},
            nullptr};
}

}  // namespace expertscope
