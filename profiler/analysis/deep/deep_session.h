// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <filesystem>
#include <optional>

#include "engine/base/deep_aggregates.h"
#include "engine/base/ids.h"

namespace expertscope {

/// Keeps what a deep capture of a run gave (so far) in its session, in place of what it gave before (table
/// `deep_array`, docs/FORMAT.md), in one short transaction. Throws FailedError where the session cannot be written,
/// BadInputError where the file is none.
void keepDeepCapture(const std::filesystem::path& session, RunId run, const DeepAggregates& deep);
/// Nothing where the run was recorded without a deep capture, or ended before anything was kept. Throws BadInputError
/// where the file is no session, or its arrays do not fit together.
std::optional<DeepAggregates> readDeepCapture(const std::filesystem::path& session, RunId run);

}  // namespace expertscope
