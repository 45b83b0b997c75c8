// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <optional>

#include "engine/base/run_facts.h"
#include "engine/compute/kernels.h"
#include "engine/model/checkpoint.h"
#include "engine/offload/io_mode.h"

namespace expertscope {

/// Measures what moving and computing an expert costs, as a run meets it: a few experts spread over the model go over
/// the link, through the kernels on one thread, and through the near-memory side; each cost is the median. Takes
/// milliseconds. Throws what reading experts throws.
OffloadCosts measureCosts(const Checkpoint& checkpoint, const Kernels& kernels, IoMode io,
                          const std::optional<LinkSpec>& link);

}  // namespace expertscope
