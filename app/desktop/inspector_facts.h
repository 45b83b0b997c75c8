// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QString>
#include <cstddef>
#include <functional>
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

/// Told now and then which part of the records has been counted, 0…1; may throw to end the counting.
using InspectProgress = std::function<void(double share)>;

/// The numbers of what is selected: the run when nothing is, else the tokens, layer, expert and time that are. Plain
/// equivalent: filter the run's records by the selection and count; O(recordsToInspect()).
InspectorText inspect(const RunTrace& trace, const Selection& selection, const InspectProgress& progress = {});

/// How inspect() begins: what can be told without counting records. O(1).
InspectorText inspectAtOnce(const RunTrace& trace, const Selection& selection);

/// How many records inspect() has to look at; 0 where inspectAtOnce() is all there is to say.
std::size_t recordsToInspect(const RunTrace& trace, const Selection& selection);

}  // namespace expertscope
