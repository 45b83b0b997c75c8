// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QString>
#include <vector>

#include "profiler/analysis/run_trace.h"
#include "views/base/selection.h"

namespace expertscope {

/// One number of the inspector.
struct Fact {
    QString name;
    QString value;
    QString meaning;  ///< one sentence, told on hover
};

struct InspectorText {
    QString title;     ///< "Layer 5 · expert 17"
    QString subtitle;  ///< of which run and which tokens
    std::vector<Fact> facts;
};

/// The numbers of what is selected: the run when nothing is, else the tokens, layer, expert and time that are. Plain
/// equivalent: filter the run's records by the selection and count; O(records).
InspectorText inspect(const RunTrace& trace, const Selection& selection);

}  // namespace expertscope
