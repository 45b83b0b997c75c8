// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <span>

#include "engine/base/records.h"

namespace expertscope {

class RunTrace;

/// The records of one run as the analyses take them: each part in order of recording, all of them only ever growing.
struct TraceView {
    std::span<const SelectionRecord> selections;
    std::span<const ResidencyRecord> residency;
    std::span<const TokenRecord> tokens;
    std::span<const SpanRecord> spans;
    std::span<const RequestRecord> requests;
};

/// The records of `trace`, valid until its next refresh().
TraceView viewOf(const RunTrace& trace);

}  // namespace expertscope
